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

/// The text without casts between types of text, which PostgreSQL adds to a
/// `varchar` where it needs a `text`: a column may be one here and the other there.
/// Of columns only those are looked at that `is_text` says; any other cast means
/// something. What is looked up in `pg_catalog` is so with its name or without.
pub(crate) fn without_text_casts(text: &str, is_text: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((of_array, after)) = text_cast(rest)
            && uncast(&mut out, of_array, &is_text)
        {
            rest = after;
            continue;
        }
        let end = match first {
            '\'' | '"' => quoted_end(rest, first),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(end);
        rest = after;
        match token.strip_prefix("'pg_catalog.") {
            Some(bare) if after.starts_with("::reg") => {
                out.push('\'');
                out.push_str(bare);
            }
            _ => out.push_str(token),
        }
    }
    out
}

/// A cast to a type of text of any length, or to an array of it, and what follows.
fn text_cast(text: &str) -> Option<(bool, &str)> {
    let cast = text.strip_prefix("::")?;
    let after = ["text", "character varying"]
        .into_iter()
        .find_map(|name| cast.strip_prefix(name))?;
    let (of_array, after) = match after.strip_prefix("[]") {
        Some(after) => (true, after),
        None => (false, after),
    };
    let goes_on = |c: char| c == '(' || c == '[' || c == '_' || c.is_alphanumeric();
    (!after.starts_with(goes_on)).then_some((of_array, after))
}

/// Whether what stands last is text without the cast, too; its parentheses are
/// taken off then.
fn uncast(out: &mut String, of_array: bool, is_text: impl Fn(&str) -> bool) -> bool {
    if out.ends_with('\'') {
        return true;
    }
    let Some(open) = out.strip_suffix(')').and_then(|before| before.rfind('(')) else {
        return false;
    };
    let is_name = |c: char| c == '_' || c == '"' || c == '$' || c.is_alphanumeric();
    let inner = &out[open + 1..out.len() - 1];
    let elements = inner
        .strip_prefix("ARRAY[")
        .and_then(|inner| inner.strip_suffix(']'));
    let fits = match elements {
        Some(elements) => of_array && are_literals(elements),
        None => !of_array && is_text(inner),
    };
    // A function's arguments are no parentheses.
    if !fits || out[..open].ends_with(is_name) {
        return false;
    }
    let inner = inner.to_owned();
    out.truncate(open);
    out.push_str(&inner);
    true
}

fn are_literals(list: &str) -> bool {
    let mut rest = list;
    while rest.starts_with('\'') {
        rest = &rest[quoted_end(rest, '\'')..];
        rest = rest.strip_prefix(", ").unwrap_or(rest);
    }
    rest.is_empty()
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
    fn casts_of_texts_make_no_difference_and_others_do() {
        let is_text = |name: &str| matches!(name, "v" | "\"V\"");
        let plain = |text: &str| without_text_casts(text, is_text);
        for (one, other) in [
            ("upper((v)::text)", "upper(v)"),
            (
                "((v)::text || 'x::text'::text)",
                "(v || 'x::text'::character varying)",
            ),
            ("upper((\"V\")::text)", "upper(\"V\")"),
            (
                "((v)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
                "(v = ANY (ARRAY['a'::text, 'b'::text]))",
            ),
            (
                "to_tsvector('pg_catalog.english'::regconfig, v)",
                "to_tsvector('english'::regconfig, (v)::text)",
            ),
        ] {
            assert_eq!(plain(one), plain(other));
        }
        // These are other values.
        for text in [
            "(n)::text",
            "(v)::character varying(3)",
            "f(v)::text",
            "'5'::integer",
            "(ARRAY[1, 2])::text[]",
            "(v || n)::text",
            "'pg_catalog.english'",
        ] {
            assert_eq!(plain(text), text);
        }
    }

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
