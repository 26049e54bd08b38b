//! Settings: the environment, read once at the start and checked. Nothing else of the program looks at it, but for how
//! much is logged.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, bail};
use detector::config::parse_duration;

/// What this function is for. Each has permissions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads new objects and judges them.
    Detect,
    /// Folds what was observed into the baseline.
    Learn,
    /// Asks which functions own which interfaces.
    Inventory,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Learn => "learn",
            Self::Inventory => "inventory",
        }
    }
}

/// The form of an alert, one a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AlertFormat {
    /// Text a person reads.
    Mail,
    /// `callout.finding/1`.
    Json,
    /// The custom notification of Amazon Q Developer.
    Chat,
}

/// Where the settings of the checks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigSource {
    /// Nowhere: the defaults.
    Defaults,
    /// In the environment itself.
    Inline(String),
    /// In the state bucket, under this key.
    Key(String),
}

/// The environment, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) role: Role,
    pub(crate) bucket: String,
    /// Empty, or ending in a slash.
    pub(crate) prefix: String,
    /// The bucket's region where it is not the function's own.
    pub(crate) region: Option<String>,
    /// Where alerts go; the inventory sends none.
    pub(crate) topic: Option<String>,
    pub(crate) alert_format: AlertFormat,
    pub(crate) config: ConfigSource,
    /// How long the learner waits for late records, in event time.
    pub(crate) grace_secs: i64,
    /// Judge every interface; needs no inventory.
    pub(crate) all_interfaces: bool,
    /// Where below `inventory/` this account's snapshots go: empty at home, `ACCOUNT/REGION/` in another account.
    pub(crate) inventory_folder: String,
    /// What metrics and logs call the function.
    pub(crate) function: String,
    /// Memory of the function, as far as Lambda says.
    pub(crate) memory_bytes: Option<u64>,
}

/// How long after the newest record the learner waits for late ones, in seconds: deliveries take about ten minutes, and
/// the five-minute files of one window come in no order.
const GRACE_SECS: i64 = 1800;

/// The longest that makes sense: what is not folded is walked again with each new object.
const MAX_GRACE_SECS: i64 = 2 * 86_400;

impl Settings {
    /// Reads the environment of the process.
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let of_ours = |name: &str| name.starts_with("CALLOUT_") || name.starts_with("AWS_LAMBDA_FUNCTION_");
        // A name or value that is no Unicode cannot be one of ours; `vars` would panic on it.
        let pairs =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::read(&pairs.filter(|(name, _)| of_ours(name)).collect())
    }

    fn read(env: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let get = |name: &str| env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let need = |name: &str, what: &str| get(name).ok_or_else(|| anyhow!("`{name}` is not set; {what}"));
        let role = match need("CALLOUT_ROLE", "it must be `detect`, `learn` or `inventory`")? {
            "detect" => Role::Detect,
            "learn" => Role::Learn,
            "inventory" => Role::Inventory,
            other => bail!("`CALLOUT_ROLE` is `{other}`; it must be `detect`, `learn` or `inventory`"),
        };
        let bucket = need("CALLOUT_STATE_BUCKET", "it names the bucket of observations, baselines and findings")?;
        let prefix = get("CALLOUT_STATE_PREFIX").unwrap_or_default().trim_matches('/');
        let topic = match role {
            Role::Inventory => get("CALLOUT_TOPIC_ARN"),
            _ => Some(need("CALLOUT_TOPIC_ARN", "it names the SNS topic that receives the alerts")?),
        };
        if let Some(topic) = topic
            && !(topic.starts_with("arn:") && topic.split(':').count() == 6)
        {
            bail!("`CALLOUT_TOPIC_ARN` is `{topic}`; it must be the ARN of an SNS topic");
        }
        let alert_format = alert_format(get("CALLOUT_ALERT_FORMAT"))?;
        let config = config_source(get("CALLOUT_CONFIG"))?;
        let grace_secs = grace(get("CALLOUT_LEARN_GRACE"))?;
        let all_interfaces = match get("CALLOUT_ALL_INTERFACES") {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => bail!("`CALLOUT_ALL_INTERFACES` is `{other}`; it must be `true` or `false`"),
        };
        let folder = get("CALLOUT_INVENTORY_FOLDER").unwrap_or_default().trim_matches('/');
        let is_name = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !(folder.is_empty() || folder.split('/').all(is_name)) {
            bail!(
                "`CALLOUT_INVENTORY_FOLDER` is `{folder}`; it must be an account and a region: `111122223333/eu-west-1`"
            );
        }
        Ok(Self {
            role,
            bucket: bucket.to_owned(),
            region: get("CALLOUT_STATE_REGION").map(str::to_owned),
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            topic: topic.map(str::to_owned),
            alert_format,
            config,
            grace_secs,
            all_interfaces,
            inventory_folder: if folder.is_empty() { String::new() } else { format!("{folder}/") },
            function: get("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("callout").to_owned(),
            memory_bytes: get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
                .and_then(|mb| mb.parse::<u64>().ok())
                .map(|mb| mb << 20),
        })
    }
}

/// The form of an alert, from `CALLOUT_ALERT_FORMAT`.
fn alert_format(text: Option<&str>) -> anyhow::Result<AlertFormat> {
    match text {
        None | Some("mail") => Ok(AlertFormat::Mail),
        Some("json") => Ok(AlertFormat::Json),
        Some("chat") => Ok(AlertFormat::Chat),
        Some(other) => bail!("`CALLOUT_ALERT_FORMAT` is `{other}`; it must be `mail`, `json` or `chat`"),
    }
}

/// Where the settings of the checks are, from `CALLOUT_CONFIG`.
fn config_source(text: Option<&str>) -> anyhow::Result<ConfigSource> {
    match text {
        None => Ok(ConfigSource::Defaults),
        // TOML holds an equals sign, a table or a comment; a key in the state bucket holds none of them.
        Some(toml) if toml.contains(['=', '[', '#', '\n']) => Ok(ConfigSource::Inline(toml.to_owned())),
        Some(key) if key.contains(['/', '.']) => Ok(ConfigSource::Key(key.trim_start_matches('/').to_owned())),
        Some(word) => bail!("`CALLOUT_CONFIG` is `{word}`; it must be TOML, or a key such as `config/callout.toml`"),
    }
}

/// How long the learner waits for late records, in seconds, from `CALLOUT_LEARN_GRACE`.
fn grace(text: Option<&str>) -> anyhow::Result<i64> {
    let Some(text) = text else { return Ok(GRACE_SECS) };
    let secs = parse_duration(text).and_then(|secs| i64::try_from(secs).ok());
    secs.filter(|secs| *secs <= MAX_GRACE_SECS)
        .with_context(|| format!("`CALLOUT_LEARN_GRACE` is `{text}`; it must be a duration from `0s` to `2d`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:callout";

    fn read(more: &[(&str, &str)]) -> anyhow::Result<Settings> {
        let base = [("CALLOUT_ROLE", "detect"), ("CALLOUT_STATE_BUCKET", "state"), ("CALLOUT_TOPIC_ARN", TOPIC)];
        Settings::read(
            &base.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        )
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.prefix.as_str(), settings.grace_secs, settings.all_interfaces), ("", 1800, false));
        assert_eq!((settings.alert_format, settings.config), (AlertFormat::Mail, ConfigSource::Defaults));
        assert_eq!((settings.inventory_folder.as_str(), settings.memory_bytes), ("", None));
        assert_eq!(read(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")]).unwrap().memory_bytes, Some(512 << 20));
        assert_eq!(read(&[("CALLOUT_STATE_PREFIX", "/a/b/")]).unwrap().prefix, "a/b/");
        let folder = read(&[("CALLOUT_INVENTORY_FOLDER", "111122223333/eu-west-1")]).unwrap().inventory_folder;
        assert_eq!(folder, "111122223333/eu-west-1/");
        assert_eq!(read(&[("CALLOUT_ROLE", "inventory"), ("CALLOUT_TOPIC_ARN", "")]).unwrap().topic, None);
    }

    #[test]
    fn a_config_is_a_key_or_toml() {
        let config = |text: &str| read(&[("CALLOUT_CONFIG", text)]).unwrap().config;
        assert_eq!(config("conf/callout.toml"), ConfigSource::Key("conf/callout.toml".into()));
        assert_eq!(config("warm_up = \"3d\""), ConfigSource::Inline("warm_up = \"3d\"".into()));
        assert_eq!(config(" "), ConfigSource::Defaults);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, value, expected) in [
            ("CALLOUT_ROLE", "", "`CALLOUT_ROLE` is not set"),
            ("CALLOUT_ROLE", "guard", "`guard`"),
            ("CALLOUT_STATE_BUCKET", "", "`CALLOUT_STATE_BUCKET` is not set"),
            ("CALLOUT_TOPIC_ARN", "", "`CALLOUT_TOPIC_ARN` is not set"),
            ("CALLOUT_TOPIC_ARN", "callout", "`callout`; it must be the ARN"),
            ("CALLOUT_ALERT_FORMAT", "pager", "`pager`"),
            // What a shell and `sam` leave of `sensitivity = "high"`.
            ("CALLOUT_CONFIG", "sensitivity", "`sensitivity`; it must be TOML"),
            ("CALLOUT_LEARN_GRACE", "3d", "`3d`"),
            ("CALLOUT_LEARN_GRACE", "soon", "`soon`"),
            ("CALLOUT_ALL_INTERFACES", "yes", "`yes`"),
            ("CALLOUT_INVENTORY_FOLDER", "../findings", "`../findings`"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
