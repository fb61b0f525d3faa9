//! The root fields that a GraphQL request asks for (GraphQL over HTTP, draft of
//! 2025: `query` and `operationName` of a JSON body or of the target's query).

use super::{
    json,
    query::{Effect, OPERATIONS_MAX, Operation, OperationQuery},
};
use crate::base::bad_operation::BadOperation;
use apollo_parser::{
    Parser,
    cst::{CstChildren, Definition, Document, Name, Selection},
};
use std::{borrow::Cow, collections::HashMap};
use url::form_urlencoded;

/// How deep selections, values and types may be nested: the parser recurses.
/// The queries that tools ask for a whole schema with are 15 deep.
const DEPTH_MAX: usize = 64;

/// The most tokens of a request's documents, all together: what reading them
/// costs, some milliseconds.
const TOKENS_MAX: usize = 20_000;

/// Where a request says what it asks for: a document, which of its operations,
/// and the name of a document that the server has.
const FIELDS: [&str; 3] = ["query", "operationName", "documentId"];

/// Names what a stored document is known by, among others.
const EXTENSIONS: &str = "extensions";

/// What a request asks for, by its target's query or its body.
pub(super) fn read(
    query: Option<&str>,
    method: &str,
    body: &[u8],
) -> Result<OperationQuery, BadOperation> {
    let target = Target::read(query.unwrap_or_default())?;
    let mut documents = Documents::default();
    if body.is_empty() {
        if target.says_nothing() {
            return match method {
                // A page to try queries on, a preflight.
                "GET" | "HEAD" | "OPTIONS" => Ok(OperationQuery::These(Vec::new())),
                _ => Err(BadOperation::NotJson),
            };
        }
        documents.add(target.fields)?;
    } else if target.says_nothing() {
        json::objects(body, FIELDS, |fields| documents.add(fields))?;
    } else {
        // Servers differ in which of the two counts.
        return Err(BadOperation::TwoReadings);
    }
    Ok(if documents.are_stored {
        OperationQuery::Anything
    } else {
        OperationQuery::These(documents.operations)
    })
}

/// What the query of a request's target says.
struct Target {
    fields: [Option<String>; 3],
    has_extensions: bool,
}

impl Target {
    fn read(query: &str) -> Result<Self, BadOperation> {
        let mut fields = [const { None }; 3];
        let mut has_extensions = false;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            has_extensions |= name == EXTENSIONS;
            match FIELDS.iter().position(|field| json::is_like(field, &name)) {
                None => {}
                Some(at) if fields[at].is_some() || FIELDS[at] != name => {
                    return Err(BadOperation::TwoReadings);
                }
                Some(at) => fields[at] = Some(Cow::into_owned(value)),
            }
        }
        Ok(Self {
            fields,
            has_extensions,
        })
    }

    fn says_nothing(&self) -> bool {
        !self.has_extensions && self.fields.iter().all(Option::is_none)
    }
}

/// What was read so far.
#[derive(Default)]
struct Documents {
    operations: Vec<Operation>,
    /// Whether some document is not here, but at the server.
    are_stored: bool,
    tokens: usize,
}

impl Documents {
    fn add(&mut self, fields: [Option<String>; 3]) -> Result<(), BadOperation> {
        let [query, name, id] = fields.map(|text| text.filter(|text| !text.is_empty()));
        match (query, id) {
            (Some(query), None) => self.document(&query, name.as_deref()),
            (Some(_), Some(_)) => Err(BadOperation::TwoReadings),
            (None, _) => {
                self.are_stored = true;
                Ok(())
            }
        }
    }

    /// Adds the root fields of the operation that a document means.
    fn document(&mut self, text: &str, name: Option<&str>) -> Result<(), BadOperation> {
        let tree = Parser::new(text)
            .recursion_limit(DEPTH_MAX)
            .token_limit(TOKENS_MAX - self.tokens)
            .parse();
        if tree.errors().next().is_some() {
            return Err(BadOperation::NotGraphQl);
        }
        self.tokens = (self.tokens + tree.token_limit().high).min(TOKENS_MAX);
        let document = tree.document();
        let mut meant = document
            .definitions()
            .filter_map(|definition| match definition {
                Definition::OperationDefinition(operation) => Some(operation),
                _ => None,
            })
            .filter(|own| name.is_none_or(|name| is_named(own.name().as_ref(), name)));
        let (Some(operation), None) = (meant.next(), meant.next()) else {
            return Err(BadOperation::WhichOne);
        };
        // Without a keyword it is a query. A subscription is told of what the
        // owner does, so it goes where writes go.
        let effect = match operation.operation_type() {
            Some(kind) if kind.query_token().is_none() => Effect::Writes,
            _ => Effect::Reads,
        };
        let root = operation.selection_set().ok_or(BadOperation::NotGraphQl)?;
        let before = self.operations.len();
        self.fields(root.selections(), fragments(&document), effect)?;
        if self.operations.len() == before {
            // About the schema only.
            self.push(None, effect)?;
        }
        Ok(())
    }

    /// Adds the fields of a selection, through its fragments, each of which is
    /// looked at once.
    fn fields(
        &mut self,
        root: CstChildren<Selection>,
        mut fragments: Fragments,
        effect: Effect,
    ) -> Result<(), BadOperation> {
        let mut pending = vec![root];
        while let Some(selections) = pending.pop() {
            for selection in selections {
                match selection {
                    Selection::Field(field) => {
                        let name = field.name().ok_or(BadOperation::NotGraphQl)?;
                        let name = name.text();
                        // Every server answers these.
                        if !name.starts_with("__") {
                            self.push(Some(name.to_string()), effect)?;
                        }
                    }
                    Selection::InlineFragment(inline) => {
                        let inner = inline.selection_set().ok_or(BadOperation::NotGraphQl)?;
                        pending.push(inner.selections());
                    }
                    Selection::FragmentSpread(spread) => {
                        let name = spread.fragment_name().and_then(|name| name.name());
                        let found = name.and_then(|name| fragments.get_mut(&*name.text()));
                        pending.append(found.ok_or(BadOperation::NotGraphQl)?);
                    }
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, name: Option<String>, effect: Effect) -> Result<(), BadOperation> {
        if self.operations.len() == OPERATIONS_MAX {
            return Err(BadOperation::TooMany);
        }
        self.operations.push(Operation { name, effect });
        Ok(())
    }
}

/// What fragments select, by their names; each name should be there once.
type Fragments = HashMap<String, Vec<CstChildren<Selection>>>;

fn fragments(document: &Document) -> Fragments {
    let mut fragments = Fragments::new();
    for definition in document.definitions() {
        let Definition::FragmentDefinition(fragment) = definition else {
            continue;
        };
        let name = fragment.fragment_name().and_then(|name| name.name());
        if let (Some(name), Some(inner)) = (name, fragment.selection_set()) {
            let name = name.text().to_string();
            fragments.entry(name).or_default().push(inner.selections());
        }
    }
    fragments
}

fn is_named(own: Option<&Name>, name: &str) -> bool {
    own.is_some_and(|own| own.text() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Known = Vec<(String, Effect)>;
    type Effects = Result<Known, BadOperation>;

    fn told(asked: Result<OperationQuery, BadOperation>) -> Effects {
        let OperationQuery::These(operations) = asked? else {
            return Ok(vec![("?".into(), Effect::AsTheRouteSays)]);
        };
        let told = |one: Operation| (one.name.unwrap_or_default(), one.effect);
        Ok(operations.into_iter().map(told).collect())
    }

    fn post(body: &str) -> Effects {
        told(read(None, "POST", body.as_bytes()))
    }

    fn document(text: &str) -> Effects {
        post(&serde_json::json!({ "query": text }).to_string())
    }

    fn get(query: &str) -> Effects {
        told(read(Some(query), "GET", b""))
    }

    fn reads(names: &[&str]) -> Known {
        let name = |name: &&str| ((*name).to_owned(), Effect::Reads);
        names.iter().map(name).collect()
    }

    fn writes(name: &str) -> Known {
        vec![(name.to_owned(), Effect::Writes)]
    }

    fn stored() -> Known {
        vec![("?".into(), Effect::AsTheRouteSays)]
    }

    #[test]
    fn documents_tell_their_root_fields_and_whether_they_write() {
        assert_eq!(
            document("{ a { b } c: d(x: \"}\") }"),
            Ok(reads(&["a", "d"]))
        );
        assert_eq!(document("query Q @x { __typename a }"), Ok(reads(&["a"])));
        assert_eq!(
            document("{ __schema { types { name } } }"),
            Ok(reads(&[""]))
        );
        assert_eq!(document("mutation { a: b }"), Ok(writes("b")));
        assert_eq!(document("subscription S { a }"), Ok(writes("a")));
        assert_eq!(document("# }\n{ a }"), Ok(reads(&["a"])));
        let spread = "query Q { x ...F ... on Query { c } ... @skip(if: true) { d } } \
                      fragment F on Query { a ...G } fragment G on Query { b ...F }";
        let mut names: Vec<_> = document(spread).unwrap();
        names.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(names, reads(&["a", "b", "c", "d", "x"]));
    }

    #[test]
    fn the_name_chooses_among_several() {
        let two = |name: &str| {
            post(&format!(
                r#"{{"query":"query A {{ a }} mutation B {{ b }}","operationName":{name}}}"#
            ))
        };
        assert_eq!(two("\"A\""), Ok(reads(&["a"])));
        assert_eq!(two("\"B\""), Ok(writes("b")));
        for which in ["null", "\"\"", "\"C\""] {
            assert_eq!(two(which), Err(BadOperation::WhichOne), "{which}");
        }
        assert_eq!(document("{ a } { b }"), Err(BadOperation::WhichOne));
        assert_eq!(
            document("fragment F on Q { a }"),
            Err(BadOperation::WhichOne)
        );
        let batch = r#"[{"query":"{ a }"},{"query":"mutation { b }"}]"#;
        let wanted = [reads(&["a"]), writes("b")].concat();
        assert_eq!(post(batch), Ok(wanted));
    }

    #[test]
    fn targets_ask_too_but_not_with_a_body() {
        assert_eq!(get("query=%7B+a%20%7D&x=1"), Ok(reads(&["a"])));
        assert_eq!(get("qu%65ry=mutation{b}"), Ok(writes("b")));
        assert_eq!(get("lang=en"), Ok(Vec::new()));
        assert_eq!(get("query={a}&query={b}"), Err(BadOperation::TwoReadings));
        assert_eq!(get("Query={a}"), Err(BadOperation::TwoReadings));
        let both = read(Some("query={a}"), "POST", br#"{"query":"{ b }"}"#);
        assert_eq!(told(both), Err(BadOperation::TwoReadings));
        let named = read(Some("operationName=B"), "POST", br#"{"query":"{ b }"}"#);
        assert_eq!(told(named), Err(BadOperation::TwoReadings));
        assert_eq!(told(read(None, "POST", b"")), Err(BadOperation::NotJson));
        assert_eq!(told(read(None, "OPTIONS", b"")), Ok(Vec::new()));
    }

    #[test]
    fn stored_documents_may_be_anything() {
        let hash = r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}"#;
        assert_eq!(post(hash), Ok(stored()));
        assert_eq!(post(r#"{"documentId":"ab"}"#), Ok(stored()));
        assert_eq!(post(r#"{"id":"ab","query":""}"#), Ok(stored()));
        assert_eq!(
            post(&format!(r#"[{{"query":"{{ a }}"}},{hash}]"#)),
            Ok(stored())
        );
        assert_eq!(get("extensions=%7B%7D"), Ok(stored()));
        let with_text = r#"{"query":"{ a }","extensions":{"persistedQuery":{}}}"#;
        assert_eq!(post(with_text), Ok(reads(&["a"])));
        let both = r#"{"query":"{ a }","documentId":"ab"}"#;
        assert_eq!(post(both), Err(BadOperation::TwoReadings));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in [
            "{ a ",
            "{}",
            "mutation",
            "{ ...F }",
            "{ a } }",
            "a",
            "{ a(x: \") }",
        ] {
            assert_eq!(document(bad), Err(BadOperation::NotGraphQl), "{bad}");
        }
        let deep = format!(
            "{}a{}",
            "{ a ".repeat(DEPTH_MAX + 1),
            "}".repeat(DEPTH_MAX + 1)
        );
        assert_eq!(document(&deep), Err(BadOperation::NotGraphQl));
        let long = format!("{{ {} }}", "a ".repeat(TOKENS_MAX));
        assert_eq!(document(&long), Err(BadOperation::NotGraphQl));
        let wide = format!("{{ {} }}", "a ".repeat(OPERATIONS_MAX + 1));
        assert_eq!(document(&wide), Err(BadOperation::TooMany));
        // Each is short enough, all together they are not.
        let many = serde_json::json!(vec![
            serde_json::json!({ "query": format!("{{ a(x: [{}]) }}", "1 ".repeat(5_000)) });
            4
        ]);
        assert_eq!(post(&many.to_string()), Err(BadOperation::NotGraphQl));
    }
}
