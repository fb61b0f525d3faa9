//! What a page says first, in a sentence.

use super::format;
use conductor::status::ExtractionStatus;

/// A piece of a sentence; the two sides have their colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) class: &'static str,
    pub(crate) text: String,
}

fn plain(text: impl Into<String>) -> Piece {
    Piece {
        class: "",
        text: text.into(),
    }
}

fn monolith() -> Piece {
    Piece {
        class: "old",
        text: "monolith".to_owned(),
    }
}

fn service() -> Piece {
    Piece {
        class: "new",
        text: "service".to_owned(),
    }
}

/// Who owns an extraction, and where its readers are.
pub(crate) fn stands(one: &ExtractionStatus) -> Vec<Piece> {
    let mut pieces = owner(one);
    pieces.extend(readers(one));
    pieces
}

fn owner(one: &ExtractionStatus) -> Vec<Piece> {
    match one.owner.as_str() {
        "monolith" => vec![plain("The "), monolith(), plain(" owns it. ")],
        "service" => vec![plain("The "), service(), plain(" owns it. ")],
        "both" => vec![
            plain("The "),
            monolith(),
            plain(" and the "),
            service(),
            plain(" share its data. "),
        ],
        "nobody" => vec![plain(
            "Nobody may write it at this moment: it is being handed over. ",
        )],
        _ => vec![plain(
            "Who owns it is not known: no answer from a database yet. ",
        )],
    }
}

fn readers(one: &ExtractionStatus) -> Vec<Piece> {
    if one.phase == "planned" {
        return vec![plain("Nothing of it has been copied or routed yet.")];
    }
    if one.reads_withdrawn {
        return vec![plain(
            "All readers are sent to the owner while a stream is not well.",
        )];
    }
    let share = one.reads_percent;
    if share <= 0.0 {
        vec![plain("All readers are at the "), monolith(), plain(".")]
    } else if share >= 100.0 {
        vec![plain("All readers are at the "), service(), plain(".")]
    } else {
        let share = format!("{} of the readers are at the ", format::percent(share));
        vec![plain(share), service(), plain(".")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_owns_and_where_readers_are() {
        let text = |owner: &str, phase: &str, reads_percent| {
            let one = ExtractionStatus {
                owner: owner.to_owned(),
                phase: phase.to_owned(),
                reads_percent,
                ..ExtractionStatus::default()
            };
            let pieces = stands(&one).into_iter();
            pieces.map(|piece| piece.text).collect::<String>()
        };
        assert_eq!(
            text("monolith", "following", 50.0),
            "The monolith owns it. 50 % of the readers are at the service."
        );
        assert_eq!(
            text("service", "switched", 100.0),
            "The service owns it. All readers are at the service."
        );
        assert!(text("monolith", "planned", 0.0).ends_with("copied or routed yet."));
        assert!(text("nobody", "switching", 100.0).starts_with("Nobody may write"));
        assert!(text("", "", 0.0).starts_with("Who owns it is not known"));
    }
}
