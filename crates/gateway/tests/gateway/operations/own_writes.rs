//! Who wrote in a batch reads it, in every extraction.

use super::shop::*;
use crate::support::*;
use protocol::Side;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn own_writes_are_read_by_operation_too() {
    let shop = Shop::start().await;
    let to = async |methods: &[&str]| shop.call(&batch(methods), Some("u")).await.body;
    shop.mover.position(Some(10));
    // One batch pins its client in both extractions.
    assert_eq!(to(&["contracts.sign", "parties.add"]).await, "monolith");
    assert_eq!(to(&["contracts.get"]).await, "monolith");
    assert_eq!(to(&["parties.get"]).await, "monolith");
    let stranger = shop.call(&one_call("contracts.get"), Some("x")).await;
    assert_eq!(stranger.body, "contracts");
    shop.mover.applied(Side::Monolith, 10);
    let end = Instant::now() + DEADLINE;
    while to(&["contracts.get"]).await != "contracts" {
        assert!(Instant::now() < end, "pinned for good");
    }
    // Written at the service: a mixed read waits until the monolith has it.
    shop.publish(2, (TO_SERVICE, 50), ALL_READS);
    shop.mover.position(Some(20));
    assert_eq!(to(&["contracts.sign", "parties.get"]).await, "contracts");
    let before = shop.monolith.count();
    let reading = shop
        .spawn(&batch(&["contracts.get", "reports.daily"]), "u")
        .await;
    let other = shop
        .call(&batch(&["contracts.get", "reports.daily"]), Some("x"))
        .await;
    assert_eq!(other.body, "monolith");
    assert_eq!(shop.monolith.count(), before + 1);
    assert!(!reading.is_finished());
    shop.mover.applied(Side::Service, 20);
    assert_eq!(reading.await.unwrap().body, "monolith");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_tells_its_client_of_every_extraction_that_it_wrote_to() {
    let shop = Shop::with_tokens().await;
    shop.mover.position(Some(10));
    let both = shop
        .call(&batch(&["contracts.sign", "parties.add"]), Some("u"))
        .await;
    assert_eq!(both.status, 200);
    for transport in ["x-contracts", "x-parties"] {
        let token = both.header(transport).expect(transport).to_owned();
        // Another gateway would know it by that; this one, for whoever brings it.
        let method = ["contracts.get", "parties.get"][usize::from(transport == "x-parties")];
        let read = async || {
            let mut request = build("POST", "/rpc", Some("x"), &one_call(method));
            request
                .headers_mut()
                .insert(transport, token.parse().unwrap());
            let mut client = Client::connect(shop.gateway.local_addr()).await;
            client.request(request).await.unwrap().body
        };
        shop.mover.applied(Side::Monolith, 9);
        assert_eq!(read().await, "monolith");
    }
    let beside = shop
        .call(&batch(&["contracts.sign", "parties.get"]), Some("u"))
        .await;
    assert!(beside.header("x-contracts").is_some() && beside.header("x-parties").is_none());
}
