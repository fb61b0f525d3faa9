//! Routes beside the extractions, what names a client, and testers who choose.

use crate::support::*;
use http::Request;
use protocol::Side;
use std::time::Instant;

/// A bed whose plan has these lines under `gateway` and for the extraction.
async fn bed(routes: &str, extraction: &str) -> Bed {
    let gateway = format!("workers: 1\n  routes: {{ {routes} }}");
    let bed = Bed::planned(|monolith, service| extracting(monolith, service, &gateway, extraction));
    let bed = bed.await;
    bed.publish(1, TO_MONOLITH, 100);
    bed
}

async fn get(bed: &Bed, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = build("GET", path, None, "");
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    bed.client().await.request(request).await.unwrap()
}

/// Waits until reads of this client are let go to the service.
async fn settled(bed: &Bed, path: &str, headers: &[(&str, &str)]) {
    let end = Instant::now() + DEADLINE;
    while get(bed, path, headers).await.side() != Some("service") {
        assert!(Instant::now() < end, "never read from the service");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_goes_where_it_says_with_the_path_that_it_wants() {
    let bed = bed(
        "users: { to: contracts, path: '/api/users/*', strip-path: true, prefix: /v1/users, preserve-host: false }, \
         beta: { to: contracts, path: '/beta/*', headers: { x-beta: '1' } }, \
         export: { to: monolith, path: /api/contracts/export }",
        "routes: [{ path: '/api/contracts/*' }]\n    rollout: { key: { header: x-user-id } }",
    )
    .await;
    let answer = get(&bed, "/api/users/7?full=1", &[]).await;
    assert_eq!(answer.body, "service");
    let seen = bed.service.seen().pop().unwrap();
    assert_eq!(seen.path, "/v1/users/7?full=1");
    let address = bed.service.address.to_string();
    assert_eq!(seen.header("host"), Some(address.as_str()));
    assert_eq!(seen.header("x-forwarded-host"), Some("example.org"));

    assert_eq!(
        get(&bed, "/beta/x", &[("x-beta", "1")]).await.body,
        "service"
    );
    assert_eq!(
        get(&bed, "/beta/x", &[("x-beta", "2")]).await.body,
        "monolith"
    );

    // More is said about this path than the extraction says.
    let user = [("x-user-id", "1")];
    settled(&bed, "/api/contracts/7", &user).await;
    let export = get(&bed, "/api/contracts/export", &user).await;
    assert_eq!(export.body, "monolith");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_or_a_query_parameter_names_the_client() {
    for (key, path, nameless) in [
        ("path: tenant", "/t/acme/contracts", "/t/acme/contracts/7"),
        (
            "query: tenant",
            "/t/acme/contracts?tenant=1",
            "/t/acme/contracts",
        ),
    ] {
        let rollout =
            format!("routes: [{{ path: '/t/{{tenant}}/*' }}]\n    rollout: {{ key: {{ {key} }} }}");
        let bed = bed("", &rollout).await;
        settled(&bed, path, &[]).await;
        let other = get(&bed, nameless, &[]).await;
        // The same tenant in the path; in the query there is none now.
        let same = key.starts_with("path");
        assert_eq!(
            other.side(),
            Some(if same { "service" } else { "monolith" })
        );
        bed.publish(2, TO_MONOLITH, 0);
        assert_eq!(get(&bed, path, &[]).await.side(), Some("monolith"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_be_known_by_its_address() {
    let bed = bed(
        "",
        "routes: [{ path: '/api/contracts/*' }]\n    rollout: { key: address }",
    )
    .await;
    settled(&bed, "/api/contracts", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn testers_choose_their_side_and_the_key_goes_no_further() {
    let bed = bed(
        "",
        "routes: [{ path: '/api/contracts/*' }]\n    \
         rollout: { key: { header: x-user-id }, force: { header: x-canary, key: s3cret } }",
    )
    .await;
    let tester = |choice: &'static str, key: &'static str| {
        [
            ("x-user-id", "1"),
            ("x-canary", choice),
            ("x-canary-key", key),
        ]
    };
    settled(&bed, "/api/contracts", &[("x-user-id", "1")]).await;
    let never = get(&bed, "/api/contracts", &tester("never", "s3cret")).await;
    assert_eq!(never.side(), Some("monolith"));
    assert_eq!(
        bed.monolith.seen().pop().unwrap().header("x-canary-key"),
        None
    );
    let wrong = get(&bed, "/api/contracts", &tester("never", "secret")).await;
    assert_eq!(wrong.side(), Some("service"));
    bed.publish(2, TO_MONOLITH, 0);
    let always = get(&bed, "/api/contracts", &tester("always", "s3cret")).await;
    assert_eq!(always.side(), Some("service"));
    // A write goes to the owner, whoever asks.
    let mut write = build("POST", "/api/contracts", Some("1"), "x");
    write
        .headers_mut()
        .insert("x-canary", "always".parse().unwrap());
    write
        .headers_mut()
        .insert("x-canary-key", "s3cret".parse().unwrap());
    let write = bed.client().await.request(write).await.unwrap();
    assert_eq!(write.side(), Some("monolith"));
    // Nor does an upgrade carry the key further.
    let mut socket = build("GET", "/api/contracts", Some("1"), "");
    for (name, value) in [
        ("x-canary", "always"),
        ("x-canary-key", "s3cret"),
        ("connection", "upgrade"),
        ("upgrade", "echo"),
    ] {
        socket.headers_mut().insert(name, value.parse().unwrap());
    }
    bed.client().await.request(socket).await.unwrap();
    let seen = bed.monolith.seen().pop().unwrap();
    assert_eq!(seen.header("upgrade"), Some("echo"));
    assert_eq!(seen.header("x-canary-key"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_say_that_its_posts_only_read() {
    let bed = bed(
        "",
        "routes: [{ path: '/api/contracts/*' }, { path: /api/contracts/search, methods: [POST], as: reads }]\n    \
         rollout: { key: { header: x-user-id } }",
    )
    .await;
    settled(&bed, "/api/contracts", &[("x-user-id", "1")]).await;
    let search = bed.post("/api/contracts/search", Some("1"), "{}").await;
    assert_eq!(search.side(), Some("service"));
    let write = bed.post("/api/contracts", Some("1"), "{}").await;
    assert_eq!(write.side(), Some("monolith"));
}

/// A login: read from the service, but nobody else is asked when that fails.
#[tokio::test(flavor = "multi_thread")]
async fn what_reads_once_is_sent_once() {
    let bed = bed(
        "",
        "routes: [{ path: '/api/contracts/*' }, { path: /api/contracts/sign, as: reads-once }]\n    \
         rollout: { key: { header: x-user-id } }",
    )
    .await;
    settled(&bed, "/api/contracts", &[("x-user-id", "1")]).await;
    let sign = async || bed.post("/api/contracts/sign", Some("1"), "{}").await;
    assert_eq!(sign().await.side(), Some("service"));
    let monolith = bed.monolith.count();
    for status in [502, 503, 504] {
        bed.service.answer_with(status);
        let read = bed.get("/api/contracts", Some("1")).await;
        assert_eq!((read.status, read.side()), (200, Some("monolith")));
        let answer = sign().await;
        assert_eq!((answer.status, answer.side()), (status, Some("service")));
    }
    assert_eq!(bed.monolith.count(), monolith + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_can_be_explained_without_being_sent() {
    let bed = bed(
        "users: { to: contracts, path: '/api/users/*' }",
        "routes: [{ path: '/api/contracts/*' }]\n    rollout: { key: { header: x-user-id } }",
    )
    .await;
    settled(&bed, "/api/contracts", &[("x-user-id", "1")]).await;
    let seen = bed.monolith.count() + bed.service.count();
    let explain = |method: &str, path: &str, user: Option<&str>| {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "a");
        if let Some(user) = user {
            request = request.header("x-user-id", user);
        }
        let address = "127.0.0.1".parse().unwrap();
        bed.gateway
            .explain(request.body(bytes::Bytes::new()).unwrap(), address)
    };
    let read = explain("GET", "/api/contracts/7", Some("1")).unwrap();
    assert_eq!(read.belongs_to, "extraction contracts");
    assert_eq!((read.kind, read.to.as_deref()), ("read", Some("contracts")));
    assert!(
        read.why.contains("within the share of 100%"),
        "{}",
        read.why
    );
    let unnamed = explain("GET", "/api/contracts/7", None).unwrap();
    assert_eq!(unnamed.to.as_deref(), Some("monolith"));
    let write = explain("PATCH", "/api/contracts/7", Some("1")).unwrap();
    assert_eq!(
        (write.kind, write.to.as_deref()),
        ("write", Some("monolith"))
    );
    let route = explain("POST", "/api/users/7", None).unwrap();
    assert_eq!(route.belongs_to, "route users");
    let none = explain("GET", "/elsewhere", None).unwrap();
    assert_eq!((none.route, none.belongs_to.as_str()), (None, "none"));
    let refused = explain("GET", "/api%2fcontracts", None).unwrap_err();
    assert!(refused.contains("as /api/contracts"), "{refused}");
    bed.publish(
        2,
        protocol::routing::Writes::Hold {
            from: Side::Monolith,
        },
        0,
    );
    let held = explain("PATCH", "/api/contracts/7", Some("1")).unwrap();
    assert_eq!(held.to, None);
    assert_eq!(bed.monolith.count() + bed.service.count(), seen);

    let routes = bed.gateway.routes();
    let shown: Vec<_> = routes.iter().map(|route| route.matches.as_str()).collect();
    assert_eq!(
        shown,
        ["/api/contracts/*", "/api/users/*", "everything else"]
    );
}
