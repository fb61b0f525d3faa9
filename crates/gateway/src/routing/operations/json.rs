//! Some fields of a JSON object, or of each object of an array.

use super::query::OPERATIONS_MAX;
use crate::base::bad_operation::BadOperation;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt};

/// Tells the texts of `fields`, in this order, of every object. `null` is no
/// text, anything else that is none makes a second reading.
pub(super) fn objects<const N: usize>(
    body: &[u8],
    fields: [&str; N],
    tell: impl FnMut([Option<String>; N]) -> Result<(), BadOperation>,
) -> Result<(), BadOperation> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut why = BadOperation::NotJson;
    let reader = Objects {
        fields,
        count: 0,
        why: &mut why,
        tell,
    };
    let read = json.deserialize_any(reader).and_then(|()| json.end());
    read.map_err(|_| why)
}

/// Reads an object, or an array of them. What goes wrong besides JSON itself
/// is left in `why`.
struct Objects<'f, T, const N: usize> {
    fields: [&'f str; N],
    count: usize,
    why: &'f mut BadOperation,
    tell: T,
}

impl<T, const N: usize> Objects<'_, T, N>
where
    T: FnMut([Option<String>; N]) -> Result<(), BadOperation>,
{
    fn object<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        if self.count == OPERATIONS_MAX {
            return Err(self.refuse(BadOperation::TooMany));
        }
        self.count += 1;
        let mut found: [Option<Option<String>>; N] = [const { None }; N];
        while let Some(Key(key)) = map.next_key()? {
            match self.fields.iter().position(|field| is_like(field, &key)) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(at) if found[at].is_some() || self.fields[at] != key => {
                    return Err(self.refuse(BadOperation::TwoReadings));
                }
                Some(at) => found[at] = Some(map.next_value()?),
            }
        }
        (self.tell)(found.map(Option::flatten)).map_err(|why| self.refuse(why))
    }

    fn refuse<E: Error>(&mut self, why: BadOperation) -> E {
        *self.why = why;
        E::custom(why)
    }
}

impl<'de, T, const N: usize> Visitor<'de> for Objects<'_, T, N>
where
    T: FnMut([Option<String>; N]) -> Result<(), BadOperation>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        self.object(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(One(&mut self))?.is_some() {}
        Ok(())
    }
}

/// One object of an array.
struct One<'o, 'f, T, const N: usize>(&'o mut Objects<'f, T, N>);

impl<'de, T, const N: usize> DeserializeSeed<'de> for One<'_, '_, T, N>
where
    T: FnMut([Option<String>; N]) -> Result<(), BadOperation>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, T, const N: usize> Visitor<'de> for One<'_, '_, T, N>
where
    T: FnMut([Option<String>; N]) -> Result<(), BadOperation>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.object(map)
    }
}

/// A key, which is copied only where it holds escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        json.deserialize_str(Text)
    }
}

/// Whether a key is a field's name for some reader: those of Go and .NET do not
/// tell upper from lower case, Go's also not `s` from `ſ` and `k` from the sign
/// of Kelvin.
pub(super) fn is_like(field: &str, key: &str) -> bool {
    if field == key {
        return true;
    }
    if field.is_ascii() && key.is_ascii() {
        return field.eq_ignore_ascii_case(key);
    }
    let folded = |text: &str| text.to_uppercase().to_lowercase();
    folded(field) == folded(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Result<Vec<Option<String>>, BadOperation> {
        let mut names = Vec::new();
        objects(body.as_bytes(), ["task"], |[name]| {
            names.push(name);
            Ok(())
        })?;
        Ok(names)
    }

    #[test]
    fn calls_and_batches_are_read() {
        let some = |names: &[&str]| Ok(names.iter().map(|name| Some((*name).into())).collect());
        let nested = r#"{"id":1,"task":"a.b","params":{"task":1},"x":[{"task":"c"}]}"#;
        assert_eq!(names(nested), some(&["a.b"]));
        assert_eq!(names(r#"[{"task":"a"},{"task":"b"}]"#), some(&["a", "b"]));
        assert_eq!(names(r#"{"t\u0061sk":"\u0061"}"#), some(&["a"]));
        assert_eq!(names(r#"{"id":1}"#), Ok(vec![None]));
        assert_eq!(names(" [ ] "), Ok(vec![]));
        let most = format!("[{}]", vec![r#"{"task":"a"}"#; OPERATIONS_MAX].join(","));
        assert_eq!(names(&most).map(|all| all.len()), Ok(OPERATIONS_MAX));
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        for bad in [
            r#"{"task":"a","task":"a"}"#,
            r#"{"task":"a","t\u0061sk":"b"}"#,
            r#"{"task":"a","Task":"b"}"#,
            r#"{"TASK":"a"}"#,
            r#"{"ta\u017fk":"a"}"#,
            r#"{"tas\u212a":"a"}"#,
            r#"[{"task":"a"},{"task":"b","task":"c"}]"#,
        ] {
            assert_eq!(names(bad), Err(BadOperation::TwoReadings), "{bad}");
        }
        for bad in [
            r#"{"task":1}"#,
            r#"{"task":["a"]}"#,
            r#"{"task":"a"} {"task":"b"}"#,
            r#"{"task":"a"}x"#,
            r#"{"task":"a",}"#,
            r#"{"task":"\ud800"}"#,
            r#"[{"task":"a"},7]"#,
            r#"[[{"task":"a"}]]"#,
            r#""task""#,
            "\u{feff}{}",
            "",
            "task=a",
            "null",
        ] {
            assert_eq!(names(bad), Err(BadOperation::NotJson), "{bad}");
        }
        let many = format!("[{}]", vec!["{}"; OPERATIONS_MAX + 1].join(","));
        assert_eq!(names(&many), Err(BadOperation::TooMany));
    }
}
