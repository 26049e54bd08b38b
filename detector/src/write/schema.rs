//! Whether a form is of its published schema. `schemas/` holds the parts of the schemas that findings use, as
//! `xtask/schemas.py` took them from what AWS and OCSF publish; each file says from which version.
//!
//! It holds names, types, enumerations, lengths of lists and what is required; what a schema says in prose only, such
//! as the lengths of ASFF's texts, is held where the form is written.

use serde_json::Value;

use super::{Format, finding, sample};
use crate::finding::CheckId;

struct Schema(Value);

impl Schema {
    fn of(format: Format) -> Self {
        let text = match format {
            Format::Ocsf => include_str!("schemas/ocsf.json"),
            Format::Asff => include_str!("schemas/asff.json"),
            _ => include_str!("schemas/guardduty.json"),
        };
        Self(serde_json::from_str(text).expect("JSON"))
    }

    /// What the schema says against a value.
    fn objections(&self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let root = self.0["root"].as_str().expect("a root");
        self.shape(root, root, value, &mut found);
        found
    }

    fn shape(&self, name: &str, path: &str, value: &Value, found: &mut Vec<String>) {
        let Some(fields) = value.as_object() else { return found.push(format!("{path} is no object")) };
        let shape = &self.0["shapes"][name];
        let Some(members) = shape["members"].as_object() else {
            return found.push(format!("{path}: `{name}` is not among the stored parts; xtask/schemas.py renews them"));
        };
        for required in shape["required"].as_array().expect("a list").iter().filter_map(Value::as_str) {
            if !fields.contains_key(required) {
                found.push(format!("{path} lacks `{required}`"));
            }
        }
        for (field, value) in fields {
            let path = format!("{path}.{field}");
            match members.get(field) {
                Some(kind) => self.kind(kind, &path, value, found),
                None => found.push(format!("{path} is not in the schema")),
            }
        }
    }

    fn kind(&self, kind: &Value, path: &str, value: &Value, found: &mut Vec<String>) {
        let is_good = match kind.as_str() {
            Some("any") => true,
            Some("string") => value.is_string(),
            Some("filled") => value.as_str().is_some_and(|text| !text.trim().is_empty()),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            _ => {
                if let Some(name) = kind["shape"].as_str() {
                    return self.shape(name, path, value, found);
                }
                if let Some(values) = kind["map"].as_str().and(value.as_object()) {
                    return values.iter().for_each(|(key, value)| {
                        self.kind(&kind["map"], &format!("{path}.{key}"), value, found);
                    });
                }
                if let (Some(item), Some(values)) = (kind.get("list"), value.as_array()) {
                    if kind["max"].as_u64().is_some_and(|max| values.len() as u64 > max) {
                        found.push(format!("{path} has {} members", values.len()));
                    }
                    return values.iter().for_each(|value| self.kind(item, &format!("{path}[]"), value, found));
                }
                kind["enum"].as_array().is_some_and(|values| values.contains(value))
            }
        };
        if !is_good {
            found.push(format!("{path} is {value}, not {kind}"));
        }
    }
}

#[test]
fn the_forms_are_of_their_published_schemas() {
    for format in [Format::Ocsf, Format::Asff, Format::Guardduty] {
        let schema = Schema::of(format);
        for mut sample in sample::all() {
            for check in CheckId::ALL {
                sample.check = check;
                let event = serde_json::from_str(&finding(format, &sample)).expect("JSON");
                assert_eq!(schema.objections(&event), Vec::<String>::new(), "{format:?}: {event}");
            }
        }
    }
}

#[test]
fn what_is_not_of_the_schema_is_noticed() {
    let sample = sample::new_destination();
    for (format, field, value, expected) in [
        (Format::Ocsf, "severity_id", Value::from("High"), "severity_id is \"High\""),
        (Format::Ocsf, "severity_id", Value::from(7), "severity_id is 7"),
        (Format::Ocsf, "colour", Value::from("red"), "colour is not in the schema"),
        (Format::Ocsf, "cloud", Value::Array(Vec::new()), "cloud is no object"),
        (Format::Asff, "Title", Value::from(" "), "Title is \" \""),
        (Format::Asff, "Network", Value::from(1), "Network is no object"),
        (Format::Guardduty, "severity", Value::from("7"), "severity is \"7\""),
    ] {
        let mut event: Value = serde_json::from_str(&finding(format, &sample)).expect("JSON");
        event[field] = value;
        let objections = Schema::of(format).objections(&event).join("; ");
        assert!(objections.contains(expected), "{expected} in {objections}");
        event.as_object_mut().expect("an object").clear();
        assert!(Schema::of(format).objections(&event).join("; ").contains(" lacks `"));
    }
}
