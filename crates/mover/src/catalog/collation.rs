//! A collation, by what it does and not by what it is called: the same name may
//! stand for another locale, library or strength on the other side.

use serde::Deserialize;
use std::fmt;

/// The name of that which stands for the database's.
const OF_DATABASE: &str = "default";

/// A collation as one database has it; of what has none, nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Collation {
    /// Its name, without a schema.
    pub name: String,
    /// Provider, locale and rules; empty for the database's.
    pub definition: String,
    /// Whether it came with the server: then its name says all.
    pub built_in: bool,
    /// Whether it takes different texts for equal.
    pub equates: bool,
    /// Of the provider's library, as it is there.
    pub version: String,
}

/// SQL that describes the collation with this number, for [`Collation::parse`].
/// The JSON forms bridge versions, which name the columns differently.
pub(crate) fn described(oid: &str) -> String {
    format!(
        "coalesce((select json_build_object('name', c.collname, \
            'definition', case when c.collprovider = 'd' then '' \
                when l.locale in ('C', 'POSIX') then 'C' \
                else concat(case c.collprovider when 'i' then 'icu ' when 'c' then 'libc ' \
                        when 'b' then 'builtin ' end, l.locale, \
                    case when c.collprovider = 'c' and c.collctype <> c.collcollate \
                        then concat(' ', c.collctype) end, \
                    ' ' || (l.j ->> 'collicurules')) end, \
            'built_in', c.oid < 16384, 'equates', not c.collisdeterministic, \
            'version', coalesce(pg_collation_actual_version(c.oid), ''))::text \
            from pg_collation c cross join lateral (select j, coalesce(j ->> 'colllocale', \
                j ->> 'colliculocale', j ->> 'collcollate', '') from to_jsonb(c) j) l(j, locale) \
            where c.oid = {oid}), '')"
    )
}

/// SQL of an array with `each` for the columns of the index `i` that are sorted by
/// another collation, `k.sorted_by`, than their own; and empty texts.
pub(crate) fn of_index(each: &str) -> String {
    format!(
        "array(select case when k.sorted_by <> coalesce(a.attcollation, 0) then {each} else '' end \
            from unnest(i.indcollation::oid[], i.indkey[:i.indnkeyatts - 1]) \
                with ordinality k(sorted_by, attnum, position) \
            left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
                and k.attnum <> 0 order by k.position)"
    )
}

impl Collation {
    /// Reads what [`described`] gives. What cannot be read is taken for a collation of
    /// its own: it differs, rather than pass for the database's.
    pub(crate) fn parse(described: &str) -> Self {
        if described.is_empty() {
            return Self::default();
        }
        serde_json::from_str(described).unwrap_or_else(|_| Self {
            name: described.to_owned(),
            definition: described.to_owned(),
            ..Self::default()
        })
    }

    /// Whether it is the database's, or there is none.
    pub fn is_usual(&self) -> bool {
        self.name.is_empty() || self.name == OF_DATABASE
    }

    /// Whether texts compare and sort alike by both.
    pub fn is_like(&self, other: &Self) -> bool {
        let named = self.built_in && other.built_in && self.name == other.name;
        let defined = spelled(&self.definition) == spelled(&other.definition);
        self.equates == other.equates && (named || defined)
    }

    /// The same text for what is the same on both sides.
    pub(crate) fn key(&self) -> String {
        let what = if self.built_in {
            &self.name
        } else {
            &spelled(&self.definition)
        };
        let equates = if self.equates {
            " (not deterministic)"
        } else {
            ""
        };
        format!("{what}{equates}")
    }
}

impl fmt::Display for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_usual() {
            return f.write_str("the database's");
        }
        f.write_str(&self.name)?;
        if !self.built_in {
            write!(f, " ({})", self.definition)?;
        }
        if self.equates {
            f.write_str(" (not deterministic)")?;
        }
        Ok(())
    }
}

/// One spelling for a locale that systems spell differently.
pub(crate) fn spelled(definition: &str) -> String {
    definition.to_lowercase().replace(['-', '_'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, definition: &str, built_in: bool) -> Collation {
        Collation {
            name: name.into(),
            definition: definition.into(),
            built_in,
            ..Collation::default()
        }
    }

    #[test]
    fn what_cannot_be_read_differs() {
        assert!(Collation::parse("").is_usual());
        let broken = Collation::parse(r#"{"name": "de", "equates": null}"#);
        assert!(!broken.is_usual() && !broken.is_like(&Collation::default()));
        assert!(broken.is_like(&broken));
    }

    #[test]
    fn what_is_done_counts_and_not_the_name() {
        let own = |locale: &str| of("own", locale, false);
        let like = |one: &Collation, other: &Collation| {
            assert_eq!(one.is_like(other), other.is_like(one));
            one.is_like(other)
        };
        assert!(like(&own("icu de_AT"), &of("other", "icu de-at", false)));
        assert!(!like(&own("icu de"), &own("icu en")));
        assert!(!like(&own("icu en_US"), &own("libc en_US")));
        let ours = of("de_DE", "libc de_DE.utf8", true);
        assert!(like(&ours, &of("de_DE", "libc de_DE.UTF-8", true)));
        assert!(like(&ours, &own("libc de_DE.UTF-8")));
        assert!(like(&own("C"), &of("C", "C", true)));
        assert!(like(&of("default", "", true), &Collation::default()));
        assert!(!like(&of("default", "", true), &ours));
        let level = |locale: &str| Collation {
            equates: true,
            ..own(locale)
        };
        assert!(!like(&own("icu und"), &level("icu und")));
        assert!(!like(
            &level("icu und-u-ks-level1"),
            &level("icu und-u-ks-level2")
        ));
        assert_eq!(
            level("icu und").to_string(),
            "own (icu und) (not deterministic)"
        );
    }
}
