//! What upstreams are told of the way that a request has come, and by whom.

use crate::{
    access::{ask, guarded},
    raw::{RawUpstream, exchange},
    support::*,
};
use http::HeaderName;

/// What proxies say of where a request came from, and frameworks believe.
const FORGED: [(&str, &str); 25] = [
    ("x-forwarded-for", "10.9.9.9"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "666"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-ssl", "on"),
    ("x-forwarded-scheme", "https"),
    ("x-forwarded-protocol", "https"),
    ("x-forwarded-server", "evil.example"),
    ("x-forwarded-by", "evil.example"),
    ("x-forwarded-path", "/evil"),
    ("x-forwarded", "for=10.9.9.9"),
    ("forwarded", "for=10.9.9.9;host=evil.example;proto=https"),
    ("x-real-ip", "10.9.9.9"),
    ("x-scheme", "https"),
    ("x-url-scheme", "https"),
    ("front-end-https", "on"),
    ("x-client-ip", "10.9.9.9"),
    ("true-client-ip", "10.9.9.9"),
    ("x-cluster-client-ip", "10.9.9.9"),
    ("cf-connecting-ip", "10.9.9.9"),
    ("x-host", "evil.example"),
    ("x-original-host", "evil.example"),
    // These two name another path than the one that was matched.
    ("x-original-url", "/evil"),
    ("x-rewrite-url", "/evil"),
];

/// What the gateway says itself.
const OWN: [(&str, &str); 4] = [
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-host", "example.org"),
    ("x-forwarded-proto", "http"),
    ("x-real-ip", "127.0.0.1"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_says_of_the_way_does_not_reach_an_upstream() {
    let bed = guarded("").await;
    bed.settle(TO_MONOLITH, 0).await;
    for path in ["/other", "/api/contracts"] {
        ask(&bed, "GET", path, &FORGED).await;
        // Each twice, and one at a time.
        let twice: Vec<_> = FORGED.iter().chain(&FORGED).copied().collect();
        ask(&bed, "POST", path, &twice).await;
        for one in FORGED {
            ask(&bed, "GET", path, &[one]).await;
        }
        for seen in bed.monolith.seen() {
            // A random one may have any digits.
            let mut said = seen.headers.clone();
            said.remove("x-correlation-id");
            let all = format!("{said:?}");
            for forged in ["evil", "10.9.9.9", "666", "https"] {
                assert!(!all.contains(forged), "{all}");
            }
            for (name, value) in OWN {
                let values: Vec<_> = seen.headers.get_all(name).iter().collect();
                assert_eq!(values, [value], "{name}");
            }
            for (name, _) in FORGED {
                let is_own = OWN.iter().any(|(own, _)| *own == name);
                assert_eq!(seen.headers.contains_key(name), is_own, "{name}");
            }
        }
        assert_eq!(bed.monolith.count(), 2 + FORGED.len());
        bed.monolith.forget();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_spelling_of_it_reaches_an_upstream_either() {
    let upstream = RawUpstream::start().await;
    let gateway = between(Knobs::default(), upstream.address, upstream.address);
    let spell = |name: &str, with: &str| {
        let mut parts = name
            .split('-')
            .map(|part| part[..1].to_uppercase() + &part[1..]);
        let first = parts.next().unwrap();
        parts.fold(first, |all, part| all + with + &part)
    };
    for (name, value) in FORGED {
        for with in ["_", "."].into_iter().filter(|_| name.contains('-')) {
            let name = spell(name, with);
            let request = format!(
                "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{name}: {value}\r\n\r\n"
            );
            let answer = exchange(gateway.local_addr(), [request.as_bytes()]).await;
            assert!(answer.starts_with(b"HTTP/1.1 400"), "{name}");
        }
    }
    assert!(upstream.got().is_empty());
    let request =
        "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nX-FORWARDED-Port: 666\r\n\r\n";
    let answer = exchange(gateway.local_addr(), [request.as_bytes()]).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    let fields = upstream.requests()[0].fields.clone();
    assert!(!fields.contains("x-forwarded-port"), "{fields}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_trusted_is_believed() {
    let bed = guarded("  trusted: [127.0.0.1]").await;
    bed.settle(TO_MONOLITH, 0).await;
    ask(&bed, "GET", "/x", &FORGED).await;
    let seen = &bed.monolith.seen()[0];
    for (name, value) in FORGED {
        let value = match name {
            "x-forwarded-for" => "10.9.9.9, 127.0.0.1",
            _ => value,
        };
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    // It says where the client is in one of the two ways; `X-Real-IP` is the same
    // address as limits and address rules go by.
    let real = |headers: &'static [(&str, &str)]| {
        let bed = &bed;
        async move {
            bed.monolith.forget();
            ask(bed, "GET", "/x", headers).await;
            let seen = &bed.monolith.seen()[0];
            let both =
                ["x-real-ip", "x-forwarded-for"].map(|name| seen.header(name).unwrap().to_owned());
            both.join(" ")
        }
    };
    let both = real(&[
        ("x-forwarded-for", "6.6.6.6, 10.9.9.9"),
        ("x-real-ip", "6.6.6.6"),
    ]);
    assert_eq!(both.await, "10.9.9.9 6.6.6.6, 10.9.9.9, 127.0.0.1");
    assert_eq!(
        real(&[("x-real-ip", "10.9.9.9")]).await,
        "10.9.9.9 127.0.0.1"
    );
    assert_eq!(real(&[]).await, "127.0.0.1 127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_under_another_name_is_nobodys_to_say() {
    let bed = guarded(
        r#"
  consumers: { shop: { keys: [shop-key] } }
  identity: { header: X-Shop-User, secret: "0123456789abcdef" }
"#,
    )
    .await;
    bed.settle(TO_MONOLITH, 0).await;
    let names = ["x-shop-user", "x_shop_user", "x-shop_user", "x.shop.user"];
    for path in ["/other", "/api/contracts"] {
        let all = names.map(|name| (name, "forged"));
        assert_eq!(ask(&bed, "GET", path, &all).await.status, 200);
    }
    for seen in bed.monolith.seen() {
        let forged = |name: &HeaderName| seen.headers[name] == "forged";
        assert_eq!(seen.headers.keys().find(|name| forged(name)), None);
    }
}
