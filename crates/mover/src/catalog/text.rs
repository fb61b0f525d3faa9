//! SQL as the catalogue prints it, made comparable between the two sides.
//!
//! Two things are called differently on the two sides without meaning anything
//! else: columns that the plan renames, and what stands in the schema that the
//! table itself is in.

/// The text without the schema in front of names, where it is this one, quoted
/// as it stands there.
pub(crate) fn unqualified(text: &str, schema: &str) -> String {
    rewrite(text, |name, next| {
        (name == schema && next == Some('.')).then(String::new)
    })
}

/// The text with columns renamed. `rename` gets a name as SQL writes it, and
/// gives the other one.
pub(crate) fn renamed(text: &str, rename: impl Fn(&str) -> Option<String>) -> String {
    rewrite(text, |name, next| {
        // A function's name, or a schema's.
        if matches!(next, Some('(' | '.')) {
            return None;
        }
        rename(name)
    })
}

/// Replaces identifiers outside of literals; an empty replacement takes the
/// dot behind it along.
fn rewrite(text: &str, replace: impl Fn(&str, Option<char>) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' => quoted_end(rest, '\''),
            '"' => quoted_end(rest, '"'),
            c if c == '_' || c.is_alphabetic() => rest
                .find(|c: char| !(c == '_' || c == '$' || c.is_alphanumeric()))
                .unwrap_or(rest.len()),
            c if c.is_numeric() => rest
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(end);
        let is_name = first == '"' || first == '_' || first.is_alphabetic();
        let follows_colons = out.ends_with("::");
        rest = after;
        match is_name
            .then(|| replace(token, after.chars().next()))
            .flatten()
        {
            Some(new) if new.is_empty() => rest = after.strip_prefix('.').unwrap_or(after),
            Some(new) if !follows_colons => out.push_str(&new),
            _ => out.push_str(token),
        }
    }
    out
}

/// Where a literal or a quoted name ends; a doubled quote does not end it.
fn quoted_end(text: &str, quote: char) -> usize {
    let mut from = 1;
    while let Some(at) = text[from..].find(quote) {
        from += at + 1;
        if !text[from..].starts_with(quote) {
            return from;
        }
        from += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_outside_of_literals_change() {
        let text = "((public.f(seller, 'seller public.x ''q') > 0) AND (\"Public\".g > a_seller))";
        assert_eq!(
            unqualified(text, "public"),
            "((f(seller, 'seller public.x ''q') > 0) AND (\"Public\".g > a_seller))"
        );
        let rename = |name: &str| (name == "seller").then(|| "\"Buyer\"".to_owned());
        assert_eq!(
            renamed(text, rename),
            "((public.f(\"Buyer\", 'seller public.x ''q') > 0) AND (\"Public\".g > a_seller))"
        );
        assert_eq!(
            renamed("seller(1) + x::seller", rename),
            "seller(1) + x::seller"
        );
        assert_eq!(unqualified("'unended", "public"), "'unended");
    }
}
