//! What is told of the certificates that clients are shown.

use crate::{
    listeners::{Authority, plan},
    support::*,
};
use gateway::Gateway;

/// The first second of a year.
const OF_2031: i64 = 1_924_992_000;
const OF_2032: i64 = 1_956_528_000;
const OF_2033: i64 = 1_988_150_400;

#[tokio::test(flavor = "multi_thread")]
async fn their_expiry_is_told_and_follows_a_reload() {
    let authority = Authority::new();
    authority.certify_until("first", "a.example", 2032);
    authority.certify_until("other", "b.example", 2033);
    let (pem, key) = (authority.path("other.pem"), authority.path("other.key"));
    let more = format!(", more: [{{ certificate: {pem}, key: {key} }}]");
    let (tls, again) = (authority.tls("first", &more), authority.tls("first", ""));
    let listeners = format!(
        "{{ listen: \"{}\", {tls} }}, {{ listen: \"{}\", {again} }}",
        unused_address(),
        unused_address()
    );
    let both = plan("http://127.0.0.1:1", &listeners);
    let gateway = Gateway::start(&both, FakeMover::new()).unwrap();
    let told = || -> Vec<String> {
        let all = encoded(&gateway);
        let ours = all.lines().filter(|line| line.contains("_expiry_"));
        let ours = ours.filter(|line| !line.starts_with('#'));
        ours.map(str::to_owned).collect()
    };
    let line = |file: &str, at: i64| {
        let path = authority.path(file);
        format!("banyan_certificate_expiry_timestamp_seconds{{certificate=\"{path}\"}} {at}")
    };
    assert_eq!(
        told(),
        [line("first.pem", OF_2032), line("other.pem", OF_2033)]
    );
    // Of a chain, the one that expires first counts.
    authority.certify_until("between", "between", 2031);
    let chain = ["first.pem", "between.pem"].map(|file| authority.path(file));
    let chain = chain.map(|file| std::fs::read_to_string(file).unwrap());
    std::fs::write(authority.path("first.pem"), chain.concat()).unwrap();
    gateway.reload(&both).await.unwrap();
    assert_eq!(
        told(),
        [line("first.pem", OF_2031), line("other.pem", OF_2033)]
    );
    gateway
        .reload(&plan("http://127.0.0.1:1", ""))
        .await
        .unwrap();
    assert_eq!(told(), [""; 0]);
}
