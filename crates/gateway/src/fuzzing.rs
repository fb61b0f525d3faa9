//! What the fuzz targets call: for each reader of outside input, one function
//! that takes any bytes and panics where a property does not hold. The tests
//! below replay the kept corpus, so that every run of the tests covers it.

mod framing;
mod heads;
mod operations;
mod plans;
mod proofs;

pub use framing::{answer, http1, proxy};
pub use heads::{head, key, target, trace};
pub use operations::operation;
pub use plans::{kong, plan};
pub use proofs::{keys, token};

/// Reads any bytes.
pub type Target = fn(&[u8]);

/// Each by the name of its corpus, `fuzz/corpus/NAME`.
pub const TARGETS: [(&str, Target); 12] = [
    ("http1", http1),
    ("answer", answer),
    ("target", target),
    ("key", key),
    ("head", head),
    ("operation", operation),
    ("plan", plan),
    ("proxy", proxy),
    ("trace", trace),
    ("token", token),
    ("keys", keys),
    ("kong", kong),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    fn corpus() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
    }

    fn replay(name: &str, target: super::Target) {
        let corpus = corpus().join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(&corpus).unwrap() {
            let path = entry.unwrap().path();
            // Seen where a panic follows.
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", corpus.display());
    }

    #[test]
    fn the_corpus_holds() {
        for (name, target) in super::TARGETS {
            replay(name, target);
        }
        // `./x fuzz` knows the targets by their corpora.
        let corpora = fs::read_dir(corpus()).unwrap().count();
        assert_eq!(corpora, super::TARGETS.len());
    }

    proptest! {
        #[test]
        fn answers_have_one_reading(
            any: Vec<u8>,
            lines in "HTTP/1.[01] (200|204|304|100)( OK)?\r\n((content-length: [0-9]|transfer-encoding: chunked|connection: close|x: y)\r\n){0,3}\r\n[0-3]?(;x)?\r\n[a-c]{0,3}\r\n0?\r?\n\r\n",
        ) {
            super::answer(&any);
            super::answer(lines.as_bytes());
        }

        #[test]
        fn bodies_of_operations_have_one_reading(
            any: Vec<u8>,
            rpc in r#"\[?(\{("(method|Method|id|m\\u0065thod|me)":("a.b"|1|null|\[\]),?){0,3}\},?){0,3}\]?"#,
            graphql in r"(query|mutation|subscription|fragment F on Q)?( A)? ?[{}()a-c.:F@#\n]{0,30}",
        ) {
            super::operation(&any);
            super::operation(format!("\n{rpc}").as_bytes());
            let body = serde_json::json!({ "query": graphql });
            super::operation(format!("\n{body}").as_bytes());
        }
    }
}
