//! The two variables, as what they want of the extractions.

use plan::Percent;

pub(super) const SHARE: &str = "CANARY_PERCENTAGE";
pub(super) const MONOLITH: &str = "ROUTE_TO_MONOLITH";

/// What the environment wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Override {
    /// So many of the clients go to the service.
    Share(Percent),
    /// Everything goes to the monolith, which owns.
    Monolith,
}

/// Reads both. The error says which one is wrong.
pub(crate) fn read(
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<Override>, String> {
    let value = |name| environment(name).filter(|text: &String| !text.trim().is_empty());
    let to_monolith = match value(MONOLITH) {
        None => false,
        Some(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => return Err(format!("{MONOLITH} is `{text}`: write true or false")),
        },
    };
    let share = value(SHARE).map(|text| {
        let number = text.trim();
        let number = number.strip_suffix('%').unwrap_or(number);
        Percent::parse(&format!("{number}%"))
            .map_err(|_| format!("{SHARE} is `{text}`: write 0 to 100, such as 5 or 0.25"))
    });
    let share = share.transpose()?;
    Ok(if to_monolith {
        Some(Override::Monolith)
    } else {
        share.map(Override::Share)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(share: Option<&str>, monolith: Option<&str>) -> Result<Option<Override>, String> {
        read(|name| {
            let text = if name == SHARE { share } else { monolith };
            text.map(str::to_owned)
        })
    }

    fn percent(text: &str) -> Percent {
        Percent::parse(text).unwrap()
    }

    #[test]
    fn variables_are_read_as_people_write_them() {
        let reads = |text| Ok(Some(Override::Share(percent(text))));
        assert_eq!(wanted(None, None), Ok(None));
        assert_eq!(wanted(Some(" "), Some("")), Ok(None));
        assert_eq!(wanted(Some("5"), None), reads("5%"));
        assert_eq!(wanted(Some("0.25%"), Some("False")), reads("0.25%"));
        assert_eq!(wanted(Some("0"), None), reads("0%"));
        // Who wants everything at the monolith wants no share elsewhere.
        assert_eq!(
            wanted(Some("5"), Some("True")),
            Ok(Some(Override::Monolith))
        );
        assert!(wanted(Some("101"), None).unwrap_err().contains(SHARE));
        assert!(wanted(Some("5.123"), None).is_err());
        let maybe = wanted(None, Some("maybe")).unwrap_err();
        assert!(maybe.contains(MONOLITH) && maybe.contains("maybe"));
    }
}
