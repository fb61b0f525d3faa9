//! Texts in lines that fit the screen.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm, core::Word};

/// So wide is all that is shown.
pub(crate) const COLUMNS: u16 = 80;

/// A text of several paragraphs, in lines that fit.
pub(crate) fn wrapped(text: &str) -> String {
    let lines = text.lines().map(|line| paragraph("", "", line));
    lines.collect::<Vec<_>>().join("\n")
}

/// A text in lines that fit, the first after `first`, the others after `rest`. What has no
/// spaces, such as an address, is not cut, nor what stands between backticks to be copied.
pub(crate) fn paragraph(first: &str, rest: &str, text: &str) -> String {
    textwrap::fill(text, options(first, rest))
}

/// The beginning of a text, in one line that fits; control characters stand for nothing there.
pub(crate) fn cut(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.take(COLUMNS.into()).collect();
    if text.chars().count() > COLUMNS.into() {
        line.pop();
        line.push('…');
    }
    line
}

/// An error of several paragraphs, in lines that fit.
pub(crate) fn error(text: &str) -> String {
    let mut first = "error: ";
    let lines = text
        .lines()
        .map(|line| paragraph(std::mem::take(&mut first), "", line));
    lines.collect::<Vec<_>>().join("\n")
}

fn options<'a>(first: &'a str, rest: &'a str) -> Options<'a> {
    Options::new(COLUMNS.into())
        .initial_indent(first)
        .subsequent_indent(rest)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .break_words(false)
}

/// Words that end with the spaces after them; what stands between backticks is one, where
/// each of them has its other.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut words = Vec::new();
    let are_paired = line.matches('`').count().is_multiple_of(2);
    let (mut from, mut is_quoted, mut after_space) = (0, false, false);
    for (at, char) in line.char_indices() {
        if after_space && char != ' ' {
            words.push(Word::from(&line[from..at]));
            from = at;
        }
        is_quoted ^= char == '`' && are_paired;
        after_space = char == ' ' && !is_quoted;
    }
    words.push(Word::from(&line[from..]));
    Box::new(words.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_for_a_line_is_cut() {
        let fits = "x".repeat(COLUMNS.into());
        assert_eq!(cut(&fits), fits);
        let line = cut(&format!("a\n{fits}"));
        assert!(line.starts_with("a x") && line.ends_with("x…"), "{line}");
        assert_eq!(line.chars().count(), usize::from(COLUMNS));
    }

    #[test]
    fn an_error_fits_and_what_is_to_be_copied_stays_whole() {
        let command = "`psql --no-psqlrc --set ON_ERROR_STOP=1 -f remove-old-tables.sql`";
        let text = format!(
            "banyan.yaml: line 25, column 44, `extractions.orders.rollout.steps[0]`: nobody may \
             attest it. Run {command}, and then this again\n- the second paragraph"
        );
        let shown = error(&text);
        assert!(shown.starts_with("error: banyan.yaml: line 25"), "{shown}");
        let columns = usize::from(COLUMNS);
        assert!(shown.lines().all(|line| line.len() <= columns), "{shown}");
        assert!(shown.contains(command), "{shown}");
        assert!(shown.ends_with("\n- the second paragraph"), "{shown}");
        let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(joined(&shown), joined(&format!("error: {text}")));
        // One that ends nowhere begins nothing.
        let open = error(&format!("a ` b {}", "c ".repeat(80)));
        assert!(open.lines().all(|line| line.len() <= columns), "{open}");
    }
}
