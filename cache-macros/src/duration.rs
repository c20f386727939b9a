//! Lifetimes as users write them, turned into numbers when the attribute is expanded: no parser at run time.

use std::time::Duration;

/// The shortest lifetime stores can keep.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest: ten years. Longer is a slip, and would overflow a store's clock arithmetic sooner or later.
const LONGEST: Duration = Duration::from_secs(3653 * 86_400);

/// `90s`, `15m`, `1h 30m`, `7d`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|_| {
        let unit_missing = !text.trim().is_empty() && text.trim().bytes().all(|b| b.is_ascii_digit());
        if unit_missing {
            format!("`{text}` has no unit: write `{0}s`, `{0}m`, `{0}h` or `{0}d`", text.trim())
        } else {
            format!("`{text}` is no duration: write for example `90s`, `15m`, `1h 30m` or `7d`")
        }
    })?;
    if parsed < SHORTEST {
        Err(format!("`{text}` is too short to serve anybody: the shortest lifetime is `1ms`"))
    } else if parsed > LONGEST {
        Err(format!("`{text}` is too long: the longest lifetime is ten years"))
    } else {
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> u64 {
        parse(text).unwrap().as_secs()
    }

    #[test]
    fn the_usual_forms_are_read() {
        assert_eq!(seconds("90s"), 90);
        assert_eq!(seconds("15m"), 15 * 60);
        assert_eq!(seconds("1h 30m"), 90 * 60);
        assert_eq!(seconds("1h30m"), 90 * 60);
        assert_eq!(seconds("7d"), 7 * 86_400);
        assert_eq!(parse("250ms").unwrap(), Duration::from_millis(250));
    }

    #[test]
    fn a_number_alone_is_told_its_units() {
        assert_eq!(parse("60").unwrap_err(), "`60` has no unit: write `60s`, `60m`, `60h` or `60d`");
    }

    #[test]
    fn nonsense_is_shown_what_would_work() {
        for text in ["", "soon", "1 fortnight", "-1h", "1.5x", "h", "18446744073709551615d"] {
            let message = parse(text).unwrap_err();
            assert!(message.starts_with(&format!("`{text}` is no duration")), "{message}");
            assert!(message.ends_with("`7d`"), "{message}");
        }
    }

    #[test]
    fn nothing_and_for_ever_are_refused() {
        assert!(parse("0s").unwrap_err().contains("too short"));
        assert!(parse("10us").unwrap_err().contains("too short"));
        assert!(parse("300years").unwrap_err().contains("too long"));
    }
}
