//! Rules of the engine that a run can take out, to see that the nemesis finds it.

use cache_core::testkit::Rule;

/// The names on the command line. Rules about savepoints and early refreshes are not here: no instance uses those.
const RULES: [(&str, Rule); 14] = [
    ("sealed-flights", Rule::SealedFlights),
    ("seal-before-fill", Rule::SealBeforeFill),
    ("join-stored", Rule::JoinStored),
    ("join-unmoved-tags", Rule::JoinUnmovedTags),
    ("epoch-compared", Rule::EpochCompared),
    ("tags-before-load", Rule::TagsBeforeLoad),
    ("healers-asked", Rule::HealersAsked),
    ("confirmed-clear", Rule::ConfirmedClear),
    ("heard-by-all", Rule::HeardByAll),
    ("lost-fence-set-again", Rule::LostFenceSetAgain),
    ("fence-before-commit", Rule::FenceBeforeCommit),
    ("clear-after-commit", Rule::ClearAfterCommit),
    ("no-fence-no-commit", Rule::NoFenceNoCommit),
    ("unknown-stays-fenced", Rule::UnknownStaysFenced),
];

/// The rule of a name.
pub(super) fn parse(text: &str) -> Result<Rule, String> {
    RULES.into_iter().find(|(name, _)| *name == text).map(|(_, rule)| rule).ok_or_else(|| {
        let known: Vec<_> = RULES.iter().map(|(name, _)| *name).collect();
        format!("no rule `{text}`; there are {}", known.join(", "))
    })
}

/// The name of a rule.
#[must_use]
pub fn name(rule: Rule) -> &'static str {
    RULES.into_iter().find(|(_, known)| *known == rule).map_or("another rule", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_known_by_its_name() {
        for (text, rule) in RULES {
            assert_eq!((parse(text), name(rule)), (Ok(rule), text));
        }
        assert!(parse("no-rule").unwrap_err().starts_with("no rule `no-rule`; there are sealed-flights, "));
    }
}
