//! Where calls, batches and documents are answered.

use super::shop::*;
use crate::support::*;
use protocol::{Side, routing::Writes};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_where_its_operation_belongs() {
    let shop = Shop::start().await;
    let to = async |method: &str| shop.call(&one_call(method), Some("u")).await.body;
    assert_eq!(to("contracts.get").await, "contracts");
    assert_eq!(to("parties.get").await, "parties");
    assert_eq!(to("contracts.sign").await, "monolith");
    assert_eq!(to("reports.daily").await, "monolith");
    assert_eq!(to("users.add").await, "monolith");
    shop.publish(2, AT_SERVICE, ALL_READS);
    assert_eq!(to("contracts.sign").await, "contracts");
    assert_eq!(to("parties.add").await, "monolith");
    assert_eq!(to("users.add").await, "monolith");
    // All of the body goes on, as it came.
    assert!(
        shop.contracts
            .bodies()
            .contains(&one_call("contracts.sign"))
    );
    let seen = shop.contracts.seen().pop().unwrap();
    assert_eq!(seen.header("x-forwarded-host"), Some("example.org"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_by_the_owner_of_its_writes() {
    let shop = Shop::start().await;
    let to = async |methods: &[&str]| shop.call(&batch(methods), Some("u")).await;
    // Reads that mix: the monolith has all of it.
    assert_eq!(
        to(&["contracts.get", "contracts.get"]).await.body,
        "contracts"
    );
    assert_eq!(to(&["contracts.get", "parties.get"]).await.body, "monolith");
    assert_eq!(
        to(&["contracts.get", "reports.daily"]).await.body,
        "monolith"
    );
    // The monolith owns all writes, yet.
    assert_eq!(
        to(&["contracts.sign", "parties.add", "users.add"])
            .await
            .body,
        "monolith"
    );
    shop.publish(2, AT_SERVICE, ALL_READS);
    assert_eq!(
        to(&["contracts.sign", "contracts.get"]).await.body,
        "contracts"
    );
    let beside = to(&["reports.daily", "contracts.sign", "parties.get"]).await;
    assert_eq!((beside.status, beside.body.as_str()), (200, "contracts"));
    assert_eq!(beside.side(), Some("service"));
    assert_eq!(
        to(&["parties.add", "users.add", "contracts.get"])
            .await
            .body,
        "monolith"
    );
    shop.forget();
    for apart in [
        &["contracts.sign", "parties.add"][..],
        &["contracts.sign", "users.add"],
    ] {
        assert_reason(&to(apart).await, 422, "operations-apart");
    }
    assert_eq!(shop.seen(), [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_both_sides_are_the_monoliths_while_changes_flow_there() {
    let shop = Shop::start().await;
    let to = async |methods: &[&str]| shop.call(&batch(methods), Some("u")).await;
    let both = &["contracts.get", "reports.daily"];
    let two_services = &["contracts.get", "parties.get"];
    for share in [99, 100] {
        shop.publish(2, (TO_SERVICE, share), AT_SERVICE);
        assert_eq!(to(both).await.body, "monolith", "{share}");
        assert_eq!(to(two_services).await.body, "monolith", "{share}");
    }
    // Alone they go where they belong.
    assert_eq!(
        to(&["contracts.get", "contracts.get"]).await.body,
        "contracts"
    );
    shop.forget();
    // Nothing flows any more: the monolith's are of long ago.
    shop.publish_following(false, 2, AT_SERVICE, AT_SERVICE);
    for apart in [both, two_services] {
        assert_reason(&to(apart).await, 422, "operations-apart");
    }
    assert_eq!(shop.seen(), [0, 0, 0]);
    assert_eq!(
        to(&["contracts.get", "contracts.get"]).await.body,
        "contracts"
    );
}

/// Methods of XML-RPC share a path, and some bring attachments.
async fn xml_rpc() -> Bed {
    let bed = Bed::planned(|monolith, service| {
        extracting(
            monolith,
            service,
            "",
            "routes: [{ path: /xmlrpc, operation: { xml-rpc: [\"contracts.*\"], bytes: 4MiB } }, \
             { path: /xmlrpc, operation: { xml-rpc: [contracts.get] }, as: reads }]\n    \
             rollout: { key: { header: x-user-id } }\n    switch: { hold: 60s }",
        )
    })
    .await;
    bed.publish(1, TO_SERVICE, 100);
    bed
}

fn xml_call(method: &str, value: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<methodCall><methodName>{method}</methodName><params><param>\
         <value><base64>{value}</base64></value></param></params></methodCall>"
    )
}

async fn call_xml(bed: &Bed, body: &str, content_type: &str) -> Answer {
    let mut request = build("POST", "/xmlrpc", Some("u"), body);
    let content_type = content_type.parse().unwrap();
    request.headers_mut().insert("content-type", content_type);
    bed.client().await.request(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_xml_rpc_go_where_their_method_belongs() {
    let bed = xml_rpc().await;
    let large = "QUJD".repeat(300 << 10);
    for (method, value, side) in [
        ("contracts.get", "", "service"),
        ("contracts.sign", "", "service"),
        ("contracts.sign", &large, "service"),
        ("users.add", "", "monolith"),
        ("Contracts.get", "", "monolith"),
    ] {
        let call = xml_call(method, value);
        let answer = call_xml(&bed, &call, "text/xml").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, side),
            "{method}"
        );
        let at = if side == "service" {
            &bed.service
        } else {
            &bed.monolith
        };
        assert!(
            at.bodies().last() == Some(&call),
            "{method}: changed on its way"
        );
    }
    let (sides, call) = ([&bed.monolith, &bed.service], xml_call("contracts.get", ""));
    let counts = sides.map(Upstream::count);
    let twice = call.replace("<base64>", "<base64><methodName>x</methodName>");
    let declared = call.replace("?>\n", "?><!DOCTYPE methodCall>");
    for (body, content_type, status, reason) in [
        (&call, "application/json", 415, "operation-not-xml-type"),
        (&twice, "text/xml", 400, "operation-two-readings"),
        (&declared, "text/xml", 400, "operation-not-xml-rpc"),
        (
            &xml_call("system.multicall", ""),
            "text/xml",
            400,
            "operation-multicall",
        ),
        (
            &xml_call("contracts.sign", &"QUJD".repeat(1300 << 10)),
            "text/xml",
            413,
            "operation-too-large",
        ),
    ] {
        let answer = call_xml(&bed, body, content_type).await;
        assert_reason(&answer, status, reason);
    }
    assert_eq!(sides.map(Upstream::count), counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_an_attachment_is_held_for_a_hand_over() {
    let bed = xml_rpc().await;
    bed.publish(
        2,
        Writes::Hold {
            from: Side::Service,
        },
        0,
    );
    let call = xml_call("contracts.sign", &"QUJD".repeat(500 << 10));
    let held = tokio::spawn({
        let mut client = bed.client().await;
        let request = build("POST", "/xmlrpc", Some("u"), &call);
        async move { client.request(request).await.unwrap() }
    });
    until("it is held", || bed.held().now == 1).await;
    bed.publish(2, TO_MONOLITH, 0);
    assert_eq!(held.await.unwrap().body, "monolith");
    assert!(bed.monolith.bodies() == [call]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_reaches_nobody() {
    let shop = Shop::start().await;
    let post = async |headers: &[(&'static str, &'static str)], path: &str, body: &str| {
        let mut request = build("POST", path, Some("u"), body);
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let mut client = Client::connect(shop.gateway.local_addr()).await;
        client.request(request).await.unwrap()
    };
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let call = one_call("contracts.get");
    let twice = r#"{"method":"contracts.get","method":"contracts.sign"}"#;
    let like = r#"{"method":"contracts.get","Method":"contracts.sign"}"#;
    let large = format!(
        r#"{{"method":"contracts.sign","x":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    let graphql = r#"{"query":"{ contract }"}"#;
    for (headers, path, body, status, reason) in [
        (&[][..], "/rpc", twice, 400, "operation-two-readings"),
        (&[], "/rpc", like, 400, "operation-two-readings"),
        (
            &[],
            "/rpc",
            "method=contracts.sign",
            400,
            "operation-not-json",
        ),
        (&[], "/rpc", "", 400, "operation-not-json"),
        (&form, "/rpc", &call, 415, "operation-not-json-type"),
        (
            &[("content-encoding", "gzip")],
            "/rpc",
            &call,
            415,
            "operation-not-json-type",
        ),
        (&[], "/rpc", &large, 413, "operation-too-large"),
        (
            &[],
            "/graphql",
            r#"{"query":"{ contract"}"#,
            400,
            "operation-not-graphql",
        ),
        (
            &[],
            "/graphql?query={party}",
            graphql,
            400,
            "operation-two-readings",
        ),
    ] {
        let answer = post(headers, path, body).await;
        assert_reason(&answer, status, reason);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
    // Of no length beforehand.
    let mut raw = Raw::connect(shop.gateway.local_addr()).await;
    let chunk = "x".repeat(1 << 16);
    raw.write("POST /rpc HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..17 {
        raw.write(&format!("10000\r\n{chunk}\r\n")).await;
    }
    raw.write("0\r\n\r\n").await;
    raw.until("\"title\":\"Payload Too Large\"}").await;
    assert_eq!(shop.seen(), [0, 0, 0]);
    // The connection goes on.
    raw.write("GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    raw.until("monolith").await;
    // Other paths take whatever comes.
    assert_eq!(post(&form, "/login", twice).await.body, "monolith");
    let refused = encoded(&shop.gateway);
    assert!(
        refused.contains("reason=\"operation-two-readings\"} 3"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_is_routed_by_its_root_fields() {
    let shop = Shop::start().await;
    let to = async |document: &str| shop.graphql(document).await;
    assert_eq!(
        to("{ contract(id: 7) { party { name } } }").await.body,
        "contracts"
    );
    assert_eq!(to("{ party { name } __typename }").await.body, "parties");
    assert_eq!(
        to("{ contract party: party { id } }").await.body,
        "monolith"
    );
    assert_eq!(to("{ users { name } }").await.body, "monolith");
    assert_eq!(
        to("mutation { sign(id: 7) addParty { id } }").await.body,
        "monolith"
    );
    shop.publish(2, AT_SERVICE, ALL_READS);
    assert_eq!(
        to("mutation { contract: sign(id: 7) { id } }").await.body,
        "contracts"
    );
    assert_eq!(to("mutation { addParty { id } }").await.body, "monolith");
    assert_eq!(
        to("subscription { contract { id } }").await.body,
        "contracts"
    );
    let apart = to("mutation M { ...F } fragment F on Mutation { sign addParty }").await;
    assert_reason(&apart, 422, "operations-apart");

    let mut client = Client::connect(shop.gateway.local_addr()).await;
    let mut send = async |method: &str, path: &str, body: &str| {
        client.send(method, path, Some("u"), body).await
    };
    let get = send("GET", "/graphql?query=%7Bcontract%7Bid%7D%7D", "").await;
    assert_eq!(get.body, "contracts");
    assert_eq!(
        shop.contracts.seen().pop().unwrap().path,
        "/graphql?query=%7Bcontract%7Bid%7D%7D"
    );
    assert_eq!(send("GET", "/graphql", "").await.body, "monolith");
    let stored = r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}"#;
    assert_reason(
        &send("POST", "/graphql", stored).await,
        422,
        "operations-apart",
    );
    // While there is one owner, it may be anything.
    shop.publish(3, (TO_MONOLITH, 100), ALL_READS);
    assert_eq!(send("POST", "/graphql", stored).await.body, "monolith");
}
