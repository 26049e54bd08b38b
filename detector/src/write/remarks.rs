//! Remarks: what of a finding its description alone tells, for forms that do not show it whole.
//!
//! `callout.finding/1` has no field for these, and a form written from it later has to say the same.

use crate::finding::Finding;

/// The version deployed, in words; of several functions with the one whose it is, since each has versions of its own.
pub(super) fn version(finding: &Finding) -> Option<String> {
    let version = &finding.deployment.as_ref()?.version;
    let mut of_each = finding.owner.functions.iter().map(|name| format!("{version} of {name}"));
    let is_told = |of: &String| finding.description.contains(&format!("Version {of} was deployed"));
    Some(format!("version {}", of_each.find(is_told).as_deref().unwrap_or(version)))
}

/// The sentence on the destinations that a short list leaves out; `None` when all are there.
pub(super) fn unlisted(finding: &Finding) -> Option<&str> {
    let (_, last) = finding.description.rsplit_once(". ")?;
    last.contains(" not listed: ").then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::sample;

    #[test]
    fn of_several_functions_the_deployed_one_is_named() {
        let mut finding = sample::new_destination();
        assert_eq!(version(&finding).as_deref(), Some("version 17"));
        finding.owner = sample::shared_burst().owner;
        assert_eq!(version(&finding).as_deref(), Some("version 17"), "nothing tells whose it is");
        finding.description += " Version 17 of routes-api was deployed shortly before.";
        assert_eq!(version(&finding).as_deref(), Some("version 17 of routes-api"));
        finding.deployment = None;
        assert_eq!(version(&finding), None);
    }

    #[test]
    fn what_is_not_listed_is_told_last() {
        let mut finding = sample::new_destination();
        assert_eq!(unlisted(&finding), None);
        let told = "16 more destinations are not listed: max_destinations_per_finding sets how many are.";
        finding.description = format!("{} {told}", finding.description);
        assert_eq!(unlisted(&finding), Some(told));
    }
}
