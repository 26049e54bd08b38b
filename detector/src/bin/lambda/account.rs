//! The account's own answers: two read-only calls, signed and paged. EC2 answers in XML, Lambda in JSON.
//!
//! Why not two more SDKs: of EC2's, one call of seven hundred is used, and compiling it takes 6 GB of memory and as
//! long as everything else together.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow, bail};
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};
use serde_json::{Map, Value, json};

/// Tries of a call. Lambda's control plane allows 15 calls a second for all callers of an account together, so waiting
/// is normal: half a second, doubled each time, a minute in all.
const TRIES: u32 = 8;

/// Version of EC2's interface. Source: Amazon EC2 API reference, `DescribeNetworkInterfaces`.
const EC2_VERSION: &str = "2016-11-15";

/// Items asked for a page, the most either call allows.
const EC2_PAGE: u32 = 1000;
const LAMBDA_PAGE: u32 = 50;

/// The account of the function's role.
pub(crate) struct Account {
    credentials: Option<SharedCredentialsProvider>,
    region: String,
    /// Instead of AWS's own, `AWS_ENDPOINT_URL`.
    endpoint: Option<String>,
    connector: Connector,
}

impl Account {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        Self {
            credentials: config.credentials_provider(),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            endpoint: config.endpoint_url().map(|url| url.trim_end_matches('/').to_owned()),
            connector: Connector::builder().tls_provider(tls).build(),
        }
    }

    /// All interfaces of the region, as `aws ec2 describe-network-interfaces` prints them.
    pub(crate) async fn interfaces(&self) -> anyhow::Result<Vec<Value>> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut form = format!("Action=DescribeNetworkInterfaces&Version={EC2_VERSION}&MaxResults={EC2_PAGE}");
            if let Some(token) = &token {
                form = format!("{form}&NextToken={}", encoded(token));
            }
            let answer = self.ask("ec2", "POST", "/", &form).await.context("ec2:DescribeNetworkInterfaces")?;
            let page = interfaces(&answer).context("ec2:DescribeNetworkInterfaces: its answer")?;
            all.extend(page.0);
            token = page.1;
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    /// All functions of the region with all their versions, as `aws lambda list-functions --function-version ALL`
    /// prints them, of each what `kept` keeps: an account may have tens of thousands, each with its environment.
    pub(crate) async fn functions(&self, kept: fn(&Value) -> Option<Value>) -> anyhow::Result<Vec<Value>> {
        let (mut all, mut marker) = (Vec::new(), None::<String>);
        loop {
            let mut path = format!("/2015-03-31/functions/?FunctionVersion=ALL&MaxItems={LAMBDA_PAGE}");
            if let Some(marker) = &marker {
                path = format!("{path}&Marker={}", encoded(marker));
            }
            let answer = self.ask("lambda", "GET", &path, "").await.context("lambda:ListFunctions")?;
            let mut page: Value = serde_json::from_str(&answer).context("lambda:ListFunctions: its answer")?;
            match page.get_mut("Functions").map(Value::take) {
                Some(Value::Array(functions)) => all.extend(functions.iter().filter_map(kept)),
                _ => bail!("lambda:ListFunctions: its answer has no `Functions`"),
            }
            marker =
                page.get("NextMarker").and_then(Value::as_str).filter(|marker| !marker.is_empty()).map(str::to_owned);
            if marker.is_none() {
                return Ok(all);
            }
        }
    }

    /// Asks until there is an answer, or a refusal that waiting does not change.
    async fn ask(&self, service: &'static str, method: &str, path: &str, form: &str) -> anyhow::Result<String> {
        let mut wait = Duration::from_millis(500);
        for attempt in 1.. {
            let answer = tokio::time::timeout(crate::ANSWER, self.ask_once(service, method, path, form)).await;
            let (is_passing, why) = match answer.unwrap_or_else(|late| Err(late.into())) {
                Ok((200, body)) => return Ok(body),
                Ok((status, body)) => {
                    let throttled = ["Throttl", "RequestLimitExceeded", "TooManyRequests"];
                    let is_passing = status >= 500 || status == 429 || throttled.iter().any(|word| body.contains(word));
                    (is_passing, anyhow!("status {status}: {}", body.chars().take(500).collect::<String>()))
                }
                Err(error) => (true, error),
            };
            if !is_passing || attempt == TRIES {
                return Err(why);
            }
            tracing::debug!(service, attempt, error = format!("{why:#}"), "asked again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(16));
        }
        bail!("never asked")
    }

    async fn ask_once(
        &self,
        service: &'static str,
        method: &str,
        path: &str,
        form: &str,
    ) -> anyhow::Result<(u16, String)> {
        let credentials = self.credentials.as_ref().context("there are no credentials")?;
        let identity: Identity = credentials.provide_credentials().await.context("credentials")?.into();
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || format!("https://{service}.{}.{suffix}", self.region);
        let host = self.endpoint.clone().unwrap_or_else(own);
        let uri = format!("{host}{path}");
        let kind = (method == "POST").then_some(("content-type", "application/x-www-form-urlencoded; charset=utf-8"));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let body = SignableBody::Bytes(form.as_bytes());
        let signable = SignableRequest::new(method, uri.as_str(), kind.into_iter(), body)?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(form));
        request.set_method(method).map_err(|error| anyhow!("{error}"))?;
        request.set_uri(uri).map_err(|error| anyhow!("{error}"))?;
        for (name, value) in kind.into_iter().chain(instructions.headers()) {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        let response = self.connector.call(request).await.map_err(|error| anyhow!("{error:?}"))?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect().await.context("the body broke off")?;
        Ok((status, String::from_utf8(body.to_vec()).context("no text")?))
    }
}

/// A value of a query: everything but unreserved characters escaped.
fn encoded(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The interfaces of a page, and the token of the next one.
fn interfaces(xml: &str) -> Result<(Vec<Value>, Option<String>), XmlDecodeError> {
    // The decoder takes the end of the text for the end of every element.
    if !xml.trim_end().ends_with("</DescribeNetworkInterfacesResponse>") {
        return Err(XmlDecodeError::custom("it is no whole `DescribeNetworkInterfacesResponse`"));
    }
    let mut document = Document::new(xml);
    let mut root = document.root_element()?;
    let (mut all, mut token) = (Vec::new(), None);
    let mut is_answer = false;
    while let Some(mut tag) = root.next_tag() {
        match tag.start_el().local() {
            "networkInterfaceSet" => {
                is_answer = true;
                all = items(&mut tag, interface)?;
            }
            "nextToken" => token = Some(try_data(&mut tag)?.into_owned()).filter(|token| !token.is_empty()),
            _ => {}
        }
    }
    if is_answer { Ok((all, token)) } else { Err(XmlDecodeError::custom("it has no `networkInterfaceSet`")) }
}

fn items(
    set: &mut ScopedDecoder<'_, '_>,
    each: fn(&mut ScopedDecoder<'_, '_>) -> Result<Value, XmlDecodeError>,
) -> Result<Vec<Value>, XmlDecodeError> {
    let mut all = Vec::new();
    while let Some(mut item) = set.next_tag() {
        if item.start_el().local() == "item" {
            all.push(each(&mut item)?);
        }
    }
    Ok(all)
}

fn interface(item: &mut ScopedDecoder<'_, '_>) -> Result<Value, XmlDecodeError> {
    let mut fields = Map::new();
    while let Some(mut tag) = item.next_tag() {
        let name = match tag.start_el().local() {
            "networkInterfaceId" => "NetworkInterfaceId",
            "interfaceType" => "InterfaceType",
            "description" => "Description",
            "subnetId" => "SubnetId",
            "vpcId" => "VpcId",
            "ownerId" => "OwnerId",
            "privateIpAddress" => "PrivateIpAddress",
            "groupSet" => {
                fields.insert(
                    "Groups".to_owned(),
                    items(&mut tag, |item| picked(item, &[("groupId", "GroupId")]))?.into(),
                );
                continue;
            }
            "privateIpAddressesSet" => {
                let addresses = items(&mut tag, |item| picked(item, &[("privateIpAddress", "PrivateIpAddress")]))?;
                fields.insert("PrivateIpAddresses".to_owned(), addresses.into());
                continue;
            }
            "ipv6AddressesSet" => {
                let addresses = items(&mut tag, |item| picked(item, &[("ipv6Address", "Ipv6Address")]))?;
                fields.insert("Ipv6Addresses".to_owned(), addresses.into());
                continue;
            }
            "attachment" => {
                let named = [
                    ("attachTime", "AttachTime"),
                    ("instanceId", "InstanceId"),
                    ("instanceOwnerId", "InstanceOwnerId"),
                ];
                fields.insert("Attachment".to_owned(), picked(&mut tag, &named)?);
                continue;
            }
            _ => continue,
        };
        fields.insert(name.to_owned(), json!(try_data(&mut tag)?));
    }
    Ok(Value::Object(fields))
}

/// The named texts of an element.
fn picked(item: &mut ScopedDecoder<'_, '_>, names: &[(&str, &str)]) -> Result<Value, XmlDecodeError> {
    let mut fields = Map::new();
    while let Some(mut tag) = item.next_tag() {
        let name = names.iter().find(|(xml, _)| *xml == tag.start_el().local());
        if let Some((_, name)) = name {
            fields.insert((*name).to_owned(), json!(try_data(&mut tag)?));
        }
    }
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: Amazon EC2 API reference, example of `DescribeNetworkInterfaces`, shortened.
    const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeNetworkInterfacesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>1</requestId>
  <networkInterfaceSet>
    <item>
      <networkInterfaceId>eni-1</networkInterfaceId><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId>
      <description>AWS Lambda VPC ENI-a&amp;b</description><ownerId>111122223333</ownerId>
      <groupSet><item><groupId>sg-1</groupId><groupName>x</groupName></item><item><groupId>sg-2</groupId></item></groupSet>
      <attachment><attachmentId>ela-attach-1</attachmentId><attachTime>2026-03-01T10:00:00.000Z</attachTime></attachment>
      <tagSet/>
      <privateIpAddress>10.0.0.5</privateIpAddress>
      <privateIpAddressesSet><item><privateIpAddress>10.0.0.5</privateIpAddress><primary>true</primary></item></privateIpAddressesSet>
      <ipv6AddressesSet><item><ipv6Address>fd00::5</ipv6Address></item></ipv6AddressesSet>
      <interfaceType>lambda</interfaceType>
    </item>
  </networkInterfaceSet>
  <nextToken>a+b/c=</nextToken>
</DescribeNetworkInterfacesResponse>"#;

    #[test]
    fn a_page_of_interfaces_is_what_the_cli_prints() {
        let (all, token) = interfaces(PAGE).unwrap();
        let expected = json!([{
            "NetworkInterfaceId": "eni-1", "SubnetId": "subnet-1", "VpcId": "vpc-1",
            "Description": "AWS Lambda VPC ENI-a&b", "OwnerId": "111122223333",
            "Groups": [{"GroupId": "sg-1"}, {"GroupId": "sg-2"}],
            "Attachment": {"AttachTime": "2026-03-01T10:00:00.000Z"},
            "PrivateIpAddress": "10.0.0.5", "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.5"}],
            "Ipv6Addresses": [{"Ipv6Address": "fd00::5"}], "InterfaceType": "lambda",
        }]);
        assert_eq!((Value::Array(all), token.as_deref()), (expected, Some("a+b/c=")));
        assert_eq!(encoded("a+b/c="), "a%2Bb%2Fc%3D");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for text in ["", "<html></html>", "{}", &PAGE[..300]] {
            assert!(interfaces(text).is_err(), "{text}");
        }
    }
}
