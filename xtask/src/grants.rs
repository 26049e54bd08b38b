//! Grants: what the policies of a CloudFormation template allow and deny, one readable line for each action and
//! resource.
//!
//! Takes the template after the SAM transform, so that what SAM adds is seen too. Knows the house rules of grants.

use serde_json::{Map, Value};

/// What a line says when a `Fn::If` decides: `, if NewLogs`.
type When = String;

/// Lists every grant of a template as sorted lines: `DetectRole: allow s3:GetObject on … when …`.
pub(crate) fn list(template: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, resource) in entries(&template["Resources"]) {
        let properties = &resource["Properties"];
        if resource["Type"] == "AWS::Lambda::Permission" {
            lines.push(format!(
                "{name}: allow {} on {} by {} when SourceAccount={} and SourceArn={}",
                text(&properties["Action"]),
                text(&properties["FunctionName"]),
                text(&properties["Principal"]),
                text(&properties["SourceAccount"]),
                text(&properties["SourceArn"]),
            ));
        }
        policies(name, properties, &mut lines);
    }
    lines.sort();
    lines
}

/// Finds policies wherever they stand in a resource's properties.
fn policies(name: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match key.as_str() {
                    "ManagedPolicyArns" => {
                        lines.extend(
                            each(value).into_iter().map(|(arn, _)| format!("{name}: managed policy {}", text(arn))),
                        );
                    }
                    _ if value.get("Statement").is_some() => {
                        let statements = each(&value["Statement"]);
                        lines.extend(statements.into_iter().flat_map(|(one, when)| statement(name, one, &when)));
                    }
                    _ => policies(name, value, lines),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| policies(name, value, lines)),
        _ => {}
    }
}

/// One line for each action and resource of a statement. Whatever else it says is printed too, so nothing goes unseen.
fn statement(name: &str, statement: &Value, when: &str) -> Vec<String> {
    let mut rest: Map<String, Value> = statement.as_object().cloned().unwrap_or_default();
    let mut take = |key: &str| rest.remove(key).unwrap_or_default();
    let (effect, actions, resources) = (take("Effect"), take("Action"), take("Resource"));
    let (principal, condition) = (take("Principal"), take("Condition"));
    take("Sid");
    let mut end = Vec::new();
    if !principal.is_null() {
        let by = entries(&principal).map(|(kind, who)| format!("{kind} {}", texts(who))).collect::<Vec<_>>().join(", ");
        end.push(format!(" by {}", if principal.is_object() { by } else { text(&principal) }));
    }
    let mut conditions: Vec<String> = entries(&condition)
        .flat_map(|(operator, keys)| {
            entries(keys).map(move |(key, values)| format!("{operator} {key}={}", texts(values))).collect::<Vec<_>>()
        })
        .collect();
    conditions.sort();
    if !conditions.is_empty() {
        end.push(format!(" when {}", conditions.join(" and ")));
    }
    end.extend(rest.iter().map(|(key, value)| format!(" with {key} {}", text(value))));
    let end = end.concat() + when;
    let resources = if resources.is_null() {
        vec![(String::new(), String::new())]
    } else {
        each(&resources).into_iter().map(|(resource, when)| (format!(" on {}", text(resource)), when)).collect()
    };
    let effect = text(&effect).to_lowercase();
    let lines = each(&actions).into_iter().flat_map(|(action, _)| {
        let action = text(action);
        resources.iter().map(|(on, when)| format!("{name}: {effect} {action}{on}{end}{when}")).collect::<Vec<_>>()
    });
    lines.collect()
}

/// The parts of a value that may be one, a list, or a choice by `Fn::If`, each with what decides about it.
fn each(value: &Value) -> Vec<(&Value, When)> {
    if let Some(choice) = value.get("Fn::If").and_then(Value::as_array)
        && let [condition, yes, no] = choice.as_slice()
    {
        let branch = |value, word| {
            let parts = each(value).into_iter();
            parts.map(move |(part, when)| (part, format!(", {word} {}{when}", text(condition)))).collect::<Vec<_>>()
        };
        return [branch(yes, "if"), branch(no, "unless")].concat();
    }
    match value {
        Value::Array(values) => values.iter().flat_map(each).collect(),
        Value::Object(object) if object.get("Ref").is_some_and(|name| name == "AWS::NoValue") => Vec::new(),
        _ => vec![(value, When::new())],
    }
}

/// All parts in one text.
fn texts(value: &Value) -> String {
    let parts: Vec<String> = each(value).into_iter().map(|(part, when)| text(part) + &when).collect();
    if let [one] = parts.as_slice() { one.clone() } else { format!("[{}]", parts.join(", ")) }
}

/// A value as the template's author thinks of it: `${Bucket.Arn}/prefix/*`. What is not known is printed as JSON.
fn text(value: &Value) -> String {
    let Value::Object(object) = value else {
        return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    };
    match object.iter().next() {
        Some((function, name)) if function == "Ref" => format!("${{{}}}", text(name)),
        Some((function, Value::Array(path))) if function == "Fn::GetAtt" => {
            format!("${{{}}}", path.iter().map(text).collect::<Vec<_>>().join("."))
        }
        Some((function, Value::Array(parts))) if function == "Fn::Sub" => substituted(parts),
        Some((function, template)) if function == "Fn::Sub" => text(template),
        _ => value.to_string(),
    }
}

/// `Fn::Sub` with variables of its own. A variable that is more than a text keeps its name; the template defines it.
fn substituted(parts: &[Value]) -> String {
    let [template, variables] = parts else { return format!("{parts:?}") };
    entries(variables).fold(text(template), |whole, (name, value)| match value {
        Value::String(value) => whole.replace(&format!("${{{name}}}"), value),
        _ => whole,
    })
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// What the house rules say against grants and the lack of them, whatever the list of expected ones says.
pub(crate) fn objections(template: &Value) -> Vec<String> {
    let lines = list(template);
    let mut objections: Vec<String> =
        lines.iter().filter_map(|line| Some(format!("{}\n    {line}", objection(line)?))).collect();
    for (name, resource) in entries(&template["Resources"]) {
        let kind = resource["Type"].as_str().unwrap_or_default();
        let is_reached = ["AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic"].contains(&kind);
        let is_tls_only = lines.iter().any(|line| {
            let names_it = line.contains(&format!(" on ${{{name}}}")) || line.contains(&format!(" on ${{{name}.Arn}}"));
            names_it && line.contains(": deny ") && line.contains("aws:SecureTransport=false")
        });
        if is_reached && !is_tls_only {
            objections.push(format!("{name} ({kind}) can be reached without TLS"));
        }
    }
    objections
}

/// What is wrong with one line.
fn objection(line: &str) -> Option<&'static str> {
    let (_, grant) = line.split_once(": ")?;
    if grant.starts_with("managed policy") {
        return Some("a managed policy grants what AWS likes it to; write the statements");
    }
    let grant = grant.strip_prefix("allow ")?;
    let (action, rest) = grant.split_once(' ')?;
    let is_own_key = action.starts_with("kms:") && rest.starts_with("on * by ");
    let is_account_on_key = is_own_key && rest.contains("by AWS arn:${AWS::Partition}:iam::${AWS::AccountId}:root");
    if action.contains('*') && !is_account_on_key {
        return Some("an action with a wildcard");
    }
    let takes_no_resource = ["ec2:DescribeNetworkInterfaces", "lambda:ListFunctions"].contains(&action);
    if rest.starts_with("on *") && !takes_no_resource && !is_own_key {
        return Some("every resource");
    }
    if rest.contains("by *") || rest.contains("by AWS *") {
        return Some("everybody");
    }
    let is_service = rest.contains("by Service ") || rest.contains(".amazonaws.com when Source");
    let says_source = rest.contains("SourceAccount=") && rest.contains("SourceArn=") && !rest.contains("=null");
    let says_log_group = rest.contains("kms:EncryptionContext:aws:logs:arn=arn:");
    (is_service && !says_source && !says_log_group).then_some("a service without SourceArn and SourceAccount")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(statement: &Value) -> Value {
        json!({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {
            "Policies": [{"PolicyDocument": {"Statement": [statement]}}]}}}})
    }

    fn check(statement: &Value, expected: &[&str]) {
        assert_eq!(list(&role(statement)), expected);
    }

    #[test]
    fn each_action_and_resource_is_a_line() {
        check(
            &json!({"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": [
                {"Fn::Sub": "${Bucket.Arn}/a/*"}, {"Fn::GetAtt": ["Bucket", "Arn"]}]}),
            &[
                "Role: allow s3:GetObject on ${Bucket.Arn}",
                "Role: allow s3:GetObject on ${Bucket.Arn}/a/*",
                "Role: allow s3:PutObject on ${Bucket.Arn}",
                "Role: allow s3:PutObject on ${Bucket.Arn}/a/*",
            ],
        );
    }

    #[test]
    fn choices_and_what_is_unknown_are_told() {
        check(
            &json!({"Fn::If": ["New", {"Effect": "Allow", "Action": "a:B", "Resource": {"Fn::If": ["Big", "x", "y"]}},
                {"Ref": "AWS::NoValue"}]}),
            &["Role: allow a:B on x, if New, if Big", "Role: allow a:B on y, if New, unless Big"],
        );
        check(
            &json!({"Effect": "Allow", "NotAction": "a:B", "Action": "c:D", "Resource": {"Fn::Nonesuch": 1}}),
            &["Role: allow c:D on {\"Fn::Nonesuch\":1} with NotAction a:B"],
        );
        check(
            &json!({"Effect": "Allow", "Action": "a:B", "Resource": {"Fn::Sub": ["arn:${X}", {"X": "*"}]}}),
            &["Role: allow a:B on arn:*"],
        );
    }

    fn objects(statement: &Value, expected: &str) {
        let objections = objections(&role(statement)).join("\n");
        assert!(objections.starts_with(expected) && expected.is_empty() == objections.is_empty(), "{objections}");
    }

    #[test]
    fn wildcards_are_refused_where_aws_allows_less() {
        objects(&json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:x"}), "an action with a wildcard");
        objects(&json!({"Effect": "Allow", "Action": "*", "Resource": "arn:x"}), "an action with a wildcard");
        objects(&json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}), "an action with a wildcard");
        objects(&json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}), "every resource");
        objects(&json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}), "every resource");
        objects(&json!({"Effect": "Allow", "Action": "lambda:ListFunctions", "Resource": "*"}), "");
        objects(&json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:x"}), "");
    }

    #[test]
    fn a_grant_to_a_service_says_for_whom() {
        let grant = |condition: Value| {
            json!({"Effect": "Allow", "Action": "sns:Publish", "Resource": "arn:x",
                "Principal": {"Service": "s3.amazonaws.com"}, "Condition": condition})
        };
        objects(&grant(json!({})), "a service without");
        objects(&grant(json!({"StringEquals": {"aws:SourceAccount": "1"}})), "a service without");
        let both = json!({"StringEquals": {"aws:SourceAccount": "1"}, "ArnEquals": {"aws:SourceArn": "arn:y"}});
        objects(&grant(both), "");
        let everybody = json!({"Effect": "Allow", "Action": "sns:Publish", "Resource": "arn:x", "Principal": "*"});
        objects(&everybody, "everybody");
        let permission = |more: Value| {
            let mut properties = json!({"Action": "lambda:InvokeFunction", "FunctionName": "f",
                "Principal": "events.amazonaws.com", "SourceArn": "arn:rule"});
            properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            objections(&json!({"Resources": {"P": {"Type": "AWS::Lambda::Permission", "Properties": properties}}}))
        };
        assert_eq!(permission(json!({})).len(), 1);
        assert!(permission(json!({"SourceAccount": "1"})).is_empty());
    }

    #[test]
    fn what_can_be_reached_needs_tls() {
        let queue = json!({"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {}}}});
        assert_eq!(objections(&queue), ["Queue (AWS::SQS::Queue) can be reached without TLS"]);
        let role =
            json!({"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"ManagedPolicyArns": ["arn:m"]}}}});
        assert_eq!(objections(&role).len(), 1);
    }
}
