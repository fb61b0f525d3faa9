//! What a body asks for.

use crate::routing::operations::{
    self,
    query::{Operation, OperationQuery},
};
use http::Uri;
use plan::Dialect;

/// The method that a call asks for stands in it, in its only element of that name.
fn call(head: &http::request::Parts, body: &[u8]) {
    let Ok(OperationQuery::These(operations)) = operations::read(&Dialect::XmlRpc, head, body)
    else {
        return;
    };
    let [
        Operation {
            name: Some(name), ..
        },
    ] = &operations[..]
    else {
        panic!("no call: {operations:?}");
    };
    let has = |text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has(&format!(">{name}</methodName")), "{name} is not there");
}

/// A body has one reading: written anew by another reader, it asks for the same,
/// and what it asks for stands in it. The first line is the target's query.
pub fn operation(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (query, body) = bytes.split_at(end.unwrap_or(bytes.len()));
    let body = body.get(1..).unwrap_or_default();
    let mut target = b"/x?".to_vec();
    target.extend_from_slice(query);
    let Ok(uri) = Uri::try_from(target) else {
        return;
    };
    let mut head = http::Request::new(()).into_parts().0;
    head.method = http::Method::POST;
    head.uri = uri;
    call(&head, body);
    for dialect in [Dialect::Json("method".into()), Dialect::GraphQl] {
        let Ok(asked) = operations::read(&dialect, &head, body) else {
            continue;
        };
        // It refuses more than must be: numbers out of range, halves of letters.
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
            continue;
        };
        let anew = operations::read(&dialect, &head, value.to_string().as_bytes());
        assert_eq!(anew, Ok(asked.clone()));
        if let (Dialect::Json(field), OperationQuery::These(operations)) = (&dialect, asked) {
            let objects = match &value {
                serde_json::Value::Array(all) => &all[..],
                one => std::slice::from_ref(one),
            };
            let names: Vec<_> = operations.into_iter().map(|one| one.name).collect();
            let wanted = objects
                .iter()
                .map(|one| one[field].as_str().map(str::to_owned));
            assert_eq!(names, wanted.collect::<Vec<_>>());
        }
    }
}
