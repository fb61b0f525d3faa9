//! A policy holds for every spelling that a usual framework reads as the same path, or
//! the request is refused: by the table of docs/gateway.md.

use crate::{access::guarded, raw::exchange, support::*};
use std::{collections::BTreeMap, fs, path::Path};

/// A line of the table.
#[derive(Debug)]
struct Spelling {
    /// `METHOD PATH`.
    request: String,
    verdict: String,
}

/// The table, by the route that has the policy.
fn table() -> BTreeMap<String, Vec<Spelling>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway.md");
    let page = fs::read_to_string(page).unwrap();
    let begin = page.find("| Route | Request | Read as |").unwrap();
    let lines = page[begin..].lines().skip(2);
    let mut all: BTreeMap<String, Vec<Spelling>> = BTreeMap::new();
    for line in lines.take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [route, requests, verdict] = cells[..] else {
            panic!("{line}")
        };
        let code = |cell: &str| cell.trim_matches('`').to_owned();
        for request in requests.split(", ") {
            all.entry(code(route)).or_default().push(Spelling {
                request: code(request),
                verdict: verdict.to_owned(),
            });
        }
    }
    all
}

/// The status of one request of bytes.
async fn status(bed: &Bed, request: &str) -> u16 {
    let bytes = format!("{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = exchange(bed.gateway.local_addr(), [bytes.as_bytes()]).await;
    // To HEAD there is none, whatever its length says.
    let head = answer.split(|byte| *byte == b'\r').next().unwrap();
    let text = String::from_utf8_lossy(head).into_owned();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_holds_for_every_spelling_in_the_table() {
    let table = table();
    let lines: usize = table.values().map(Vec::len).sum();
    assert!(table.len() >= 5 && lines >= 50, "{table:#?}");
    for (route, spellings) in table {
        let (methods, path) = match route.split_once(' ') {
            Some((method, path)) => (format!(", methods: [{method}]"), path),
            None => (String::new(), &route[..]),
        };
        // Whether the plan has a word on what else there is, or not.
        for rest in ["", ", rest: { to: monolith, path: /* }"] {
            let bed = guarded(&format!(
                "  consumers: {{ shop: {{ keys: [shop-key] }} }}\n  \
                 routes: {{ guarded: {{ to: monolith, path: \"{path}\"{methods}, \
                 policies: {{ keys: {{}} }} }}{rest} }}\n"
            ))
            .await;
            for Spelling { request, verdict } in &spellings {
                let wanted = match &verdict[..] {
                    "the same" => 401,
                    "refused" => 400,
                    "another" => 200,
                    other => panic!("{other}"),
                };
                let status = status(&bed, request).await;
                assert_eq!(status, wanted, "`{route}`{rest}: {request} is {verdict}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_spellings_of_a_path_are_counted_as_one() {
    let bed = guarded("  policies: { limits: [{ by: path, year: 1 }] }").await;
    for spellings in [
        &["/a", "/a/", "/a//", "/a;x", "/a%2f", "/a\\", "/%61", "//a"][..],
        &["/a/b", "/a//b", "/a/b/", "/a/b;x=1", "/a%2Fb", "/a;y/b"],
        &["/", "//", "/;x"],
    ] {
        for (number, path) in spellings.iter().enumerate() {
            let wanted = if number == 0 { 200 } else { 429 };
            assert_eq!(status(&bed, &format!("GET {path}")).await, wanted, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_plan_tells_spellings_apart_its_own_counts() {
    let bed = guarded(
        "  consumers: { shop: { keys: [shop-key] } }\n  \
         routes: { with: { to: monolith, path: /a/ }, \
         without: { to: monolith, path: /a, policies: { keys: {} } }, \
         slashed: { to: monolith, path: /b/, strip-path: true, prefix: /v1 } }\n",
    )
    .await;
    assert_eq!(status(&bed, "GET /a/").await, 200);
    assert_eq!(status(&bed, "GET /a").await, 401);
    bed.monolith.forget();
    assert_eq!(status(&bed, "GET /b").await, 200);
    assert_eq!(bed.monolith.seen()[0].path, "/v1");
}
