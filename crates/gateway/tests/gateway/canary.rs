//! Kong's plugin canary, between two real upstreams.

use crate::{access::ask, support::*};
use gateway::{Gateway, Positions};
use plan::{FileLoader, ParseContext, Plan};
use std::sync::Arc;

/// A gateway that has taken over a Kong file, its upstream and its canary.
struct Kong {
    bed: Bed,
    canary: Upstream,
}

/// With this in the plugin's `config`; the place of the canary is added.
async fn kong(config: &str, more: &str) -> Kong {
    let monolith = Upstream::start("monolith").await;
    let primary = Upstream::start("primary").await;
    let canary = Upstream::start("canary").await;
    let kong = format!(
        r#"_format_version: "3.0"
services:
- name: api
  url: http://{}/v1
  plugins:
  - name: canary
    config: {{ upstream_host: 127.0.0.1, upstream_port: {}, {config} }}
{more}
  routes:
  - {{ name: things, paths: [/things] }}
  - {{ name: others, paths: [/others], strip_path: false }}
consumers:
- {{ username: shop, keyauth_credentials: [{{ key: shop-key }}] }}
- {{ username: bank, keyauth_credentials: [{{ key: bank-key }}] }}
"#,
        primary.address,
        canary.address.port()
    );
    let text = format!(
        "monolith: {{ url: \"http://{}\" }}\nservices: {{}}\n\
         gateway: {{ listen: \"127.0.0.1:0\", workers: 2, kong: kong.yml, \
         status: {{ registry: /registry }} }}\n\
         extractions: {{}}\n",
        monolith.address
    );
    let read = move |_: &std::path::Path| Ok(kong.clone());
    let context = ParseContext {
        files: FileLoader::new("", &read),
        ..ParseContext::new(&|_| None)
    };
    let plan = Plan::parse_with(&text, &context).unwrap();
    let mover = FakeMover::new();
    let gateway = Gateway::start(&plan, Arc::clone(&mover) as Arc<dyn Positions>).unwrap();
    let bed = Bed {
        gateway,
        monolith,
        service: primary,
        mover,
    };
    Kong { bed, canary }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_clients_goes_to_the_canary_and_stays_there() {
    let kong = kong("percentage: 30, hash: header, hash_header: X-User", "").await;
    let mut picked = 0;
    for user in 0..60 {
        let user = user.to_string();
        let headers = [("x-user", user.as_str())];
        let first = ask(&kong.bed, "GET", "/things/1?a=b", &headers).await;
        assert_eq!(first.status, 200, "{first:?}");
        picked += usize::from(first.body == "canary");
        // Writes and the service's other routes go along.
        let again = ask(&kong.bed, "POST", "/others/1", &headers).await;
        assert_eq!(again.body, first.body);
    }
    assert!((6..32).contains(&picked), "{picked} of 60 at 30%");
    assert_eq!(kong.canary.count(), 2 * picked);
    assert_eq!(kong.bed.service.count(), 2 * (60 - picked));
    // Each gets its own name as host, and the path as its service has it.
    let seen = kong.canary.seen();
    let address = kong.canary.address.to_string();
    assert_eq!(seen[0].header("host"), Some(address.as_str()));
    assert_eq!(seen[0].path, "/v1/1?a=b");
    let counted = |service: &str, route: &str| {
        let labels = format!("service=\"{service}\",route=\"{route}\",method=\"GET\"");
        let line =
            format!("http_requests_total{{{labels},status=\"2xx\",code=\"200\",side=\"service\"}}");
        usize::try_from(kong.bed.metric(&line)).unwrap()
    };
    assert_eq!(counted("api-canary", "things-canary"), picked);
    assert_eq!(counted("api", "things"), 60 - picked);
    let registry = ask(&kong.bed, "GET", "/registry", &[]).await;
    assert!(registry.body.contains("\"api-canary\""), "{registry:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_may_choose_and_consumers_stay_together() {
    let more = "  - { name: key-auth }";
    let config = "percentage: 50, hash: consumer, canary_by_header_name: X-Canary";
    let kong = kong(config, more).await;
    for key in ["shop-key", "bank-key"] {
        let side = async |choice: &str| {
            let headers = [("apikey", key), ("x-canary", choice)];
            ask(&kong.bed, "GET", "/things", &headers).await.body
        };
        assert_eq!(side("always").await, "canary");
        assert_eq!(side("never").await, "primary");
        let first = side("as you like").await;
        for _ in 0..8 {
            assert_eq!(side("as you like").await, first);
        }
    }
    // Who is not let in is split nowhere.
    let stranger = ask(&kong.bed, "GET", "/things", &[("x-canary", "always")]).await;
    assert_eq!(stranger.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_may_be_one_path_and_its_failure_is_not_repeated_elsewhere() {
    let kong = kong("percentage: 100, upstream_uri: /next/version", "").await;
    ask(&kong.bed, "GET", "/things/7?a=b", &[]).await;
    assert_eq!(kong.canary.seen()[0].path, "/next/version?a=b");
    kong.canary.answer_with(500);
    let failed = ask(&kong.bed, "POST", "/things", &[]).await;
    assert_eq!((failed.status, kong.bed.service.count()), (500, 0));
}
