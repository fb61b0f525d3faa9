//! A team's Kong file, in front of real upstreams.

use crate::{access::ask, support::*};
use plan::{FileLoader, ParseContext, Plan};

const TEAM: &str = include_str!("../../../plan/tests/plan/kong/team.yml");

/// The team's file, but for where its one upstream is.
async fn bed() -> Bed {
    Bed::planned(|monolith, service| {
        let kong = TEAM.replace("host.docker.internal:8001", &service.to_string());
        let text = format!(
            "monolith: {{ url: \"http://{monolith}\", database: \"postgres://u:p@127.0.0.1:1/m\" }}\n\
             services: {{}}\n\
             gateway: {{ listen: \"127.0.0.1:0\", workers: 2, kong: kong.yml }}\n\
             extractions: {{}}\n",
        );
        parsed(&text, &kong)
    })
    .await
}

fn parsed(text: &str, kong: &str) -> Plan {
    let kong = kong.to_owned();
    let read = move |_: &std::path::Path| Ok(kong.clone());
    let context = ParseContext {
        files: FileLoader::new("", &read),
        ..ParseContext::new(&|_| None)
    };
    Plan::parse_with(text, &context).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_routes_and_plugins_work_unchanged() {
    let bed = bed().await;
    let address = bed.service.address.to_string();
    let login = ask(&bed, "POST", "/api/auth/login?next=/", &[]).await;
    assert_eq!((login.status, login.body.as_str()), (200, "service"));
    assert_eq!(login.header("x-ratelimit-limit-minute"), Some("100"));
    assert_eq!(login.header("x-ratelimit-limit-hour"), Some("1000"));
    let seen = &bed.service.seen()[0];
    assert_eq!(seen.path, "/api/v1/auth/login?next=/");
    assert_eq!(seen.header("host"), Some(address.as_str()));
    // The second service wants a token, and no consumer could have one.
    let token = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl";
    for headers in [
        &[][..],
        &[("authorization", token)],
        &[("x-consumer-username", "a")],
    ] {
        let answer = ask(&bed, "GET", "/api/users/7", headers).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(
            answer
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
    }
    // A path is what paths begin with.
    let begins = ask(&bed, "GET", "/api/usersx", &[]).await;
    assert_eq!(begins.status, 401, "{begins:?}");
    assert_eq!(bed.service.count(), 1);
    // What is in no route goes nowhere: neither what the upstream calls it itself.
    for path in ["/api/v1/users/7", "/api/user", "/"] {
        let answer = ask(&bed, "GET", path, &[]).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert!(answer.body.contains("no-route"), "{path}: {answer:?}");
    }
    assert_eq!((bed.monolith.count(), bed.service.count()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_of_the_whole_file_are_for_what_the_plan_adds_to_it() {
    let bed = Bed::planned(|monolith, service| {
        let kong = format!(
            r#"_format_version: "3.0"
consumers:
- {{ username: shop, keyauth_credentials: [{{ key: shop-key }}] }}
plugins:
- {{ name: key-auth }}
- {{ name: rate-limiting, config: {{ year: 9 }} }}
services:
- name: things
  url: http://{service}
  routes:
  - {{ name: api, paths: [/api], strip_path: false }}
"#
        );
        let text = extracting_text(
            &format!("http://{monolith}"),
            &format!("http://{service}"),
            "workers: 2\n  kong: kong.yml\n  routes: { export: { to: monolith, path: /api/export } }",
            "routes: [{ path: /api/contracts/* }]\n    rollout: { key: { header: x-user-id } }",
        );
        parsed(&text, &kong)
    })
    .await;
    bed.publish(1, TO_MONOLITH, 0);
    // Kong's route, an extraction's and the plan's within it, and none at all.
    let paths = ["/api/things", "/api/contracts/7", "/api/export", "/other"];
    for path in paths {
        let answer = ask(&bed, "GET", path, &[]).await;
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
    }
    assert_eq!((bed.monolith.count(), bed.service.count()), (0, 0));
    // All count as one, and each request once.
    for (path, left) in paths.into_iter().zip(["8", "7", "6", "5"]) {
        let answer = ask(&bed, "GET", path, &[("apikey", "shop-key")]).await;
        let remaining = answer.header("x-ratelimit-remaining-year");
        let status = if path == "/other" { 404 } else { 200 };
        assert_eq!((answer.status, remaining), (status, Some(left)), "{path}");
    }
    assert_eq!((bed.monolith.count(), bed.service.count()), (2, 1));
}
