//! What one operation demands is demanded of its batch.

use super::shop::*;
use crate::{
    support::*,
    upgrade::{connect, drained, next, say, server},
};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_no_way_around_what_one_operation_demands() {
    let keys = "  consumers: { shop: { keys: [secret] } }\n";
    let shop_with = async |gateway: &str, contracts: &str| {
        let (gateway, contracts) = (format!("{keys}{gateway}"), contracts.to_owned());
        Shop::with(&gateway, &contracts).await
    };
    let shop = shop_with("", "    policies: { keys: {} }").await;
    let call = async |body: &str, key: Option<&str>| {
        let mut request = build("POST", "/rpc", Some("u"), body);
        if let Some(key) = key {
            request
                .headers_mut()
                .insert("x-api-key", key.parse().unwrap());
        }
        let mut client = Client::connect(shop.gateway.local_addr()).await;
        client.request(request).await.unwrap()
    };
    assert_eq!(call(&one_call("contracts.sign"), None).await.status, 401);
    assert_eq!(call(&one_call("parties.add"), None).await.status, 200);
    assert_eq!(
        call(&one_call("contracts.sign"), Some("secret"))
            .await
            .status,
        200
    );
    // Nobody gets past what is demanded by asking for two things at once.
    for key in [None, Some("secret")] {
        let both = call(&batch(&["parties.add", "contracts.sign"]), key).await;
        assert_reason(&both, 422, "operations-demands-differ");
    }
    let pair = call(&batch(&["contracts.get", "contracts.sign"]), None).await;
    assert_eq!(pair.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_demand_the_same_the_head_is_refused_without_the_body() {
    let bed = Bed::planned(|monolith, service| {
        extracting(
            monolith,
            service,
            "consumers: { shop: { keys: [secret] } }\n  policies: { keys: {} }",
            r#"routes: [{ path: /rpc, operation: { json: method, is: ["contracts.*"] } }]"#,
        )
    })
    .await;
    bed.publish(1, TO_MONOLITH, 0);
    let mut raw = Raw::connect(bed.gateway.local_addr()).await;
    raw.write("POST /rpc HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n")
        .await;
    let answer = raw.whole().await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let request = Request::post("/rpc")
        .header("host", "a")
        .header("x-api-key", "secret")
        .body(Full::new(Bytes::from(batch(&[
            "contracts.sign",
            "users.add",
        ]))));
    let answer = bed.client().await.request(request.unwrap()).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "monolith"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_may_carry_any_operation_of_its_path() {
    let ((monolith, open), (service, _)) = (server("monolith").await, server("service").await);
    let routes = "routes: [{ path: /graphql, operation: { graphql: [contract] }, as: reads }]";
    let plan = extracting(monolith, service, "", routes);
    let gateway = with_lease(&plan, FakeMover::new());
    gateway.publish(&routing(1, TO_MONOLITH, 0));
    let mut socket = connect(&gateway, "/graphql").await;
    assert_eq!(say(&mut socket, "1").await.as_deref(), Some("monolith: 1"));
    // It could write, so it does not outlive its owner.
    gateway.publish(&routing(2, HOLD, 0));
    assert_eq!(next(&mut socket).await, None);
    drained(&gateway, 2).await;
    until("closed at the monolith", || {
        open.load(Ordering::SeqCst) == 0
    })
    .await;
    gateway.publish(&routing(2, TO_SERVICE, 0));
    let mut raw = Raw::connect(gateway.local_addr()).await;
    raw.write(
        "GET /graphql HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    )
    .await;
    raw.until("\"title\":\"Unprocessable Entity\"}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_operations_is_explained() {
    let shop = Shop::start().await;
    let explain = |body: &str| {
        let request = Request::post("/rpc")
            .header("host", "a")
            .header("x-user-id", "u");
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        shop.gateway.explain(request, "127.0.0.1".parse().unwrap())
    };
    let one = explain(&one_call("contracts.get")).unwrap();
    assert_eq!(
        one.route.as_deref(),
        Some("/rpc method=contracts.get (reads)")
    );
    assert_eq!((one.kind, one.to.as_deref()), ("read", Some("contracts")));
    let mixed = explain(&batch(&["contracts.sign", "parties.get"])).unwrap();
    assert_eq!(
        mixed.belongs_to,
        "extraction contracts and extraction parties"
    );
    assert_eq!(mixed.to.as_deref(), Some("monolith"));
    assert_eq!(mixed.kind, "write, with reads beside it");
    shop.publish(2, (HOLD, 0), AT_SERVICE);
    let held = explain(&batch(&["contracts.sign", "parties.add"])).unwrap();
    assert_eq!(held.to, None);
    shop.publish(2, (TO_MONOLITH, 0), AT_SERVICE);
    let apart = explain(&batch(&["contracts.sign", "parties.add"])).unwrap();
    assert!(apart.why.starts_with("422: "), "{apart:?}");
    assert!(explain("").unwrap_err().contains("--data"));
    assert!(explain("{").unwrap_err().starts_with("400: "));
    let routes = shop.gateway.routes();
    let matches: Vec<_> = routes.iter().map(|route| route.matches.as_str()).collect();
    let shown = [
        "/rpc method=contracts.get (reads)",
        "/graphql graphql=contract,sign",
        "/rpc method=parties.get (reads)",
        "/graphql graphql=party,addParty",
    ];
    assert_eq!(matches[..4], shown);
}
