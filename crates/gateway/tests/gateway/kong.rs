//! A team's Kong file, in front of real upstreams.

use crate::{access::ask, support::*};
use gateway::{Gateway, Positions};
use plan::{Files, Plan};
use std::{sync::Arc, time::Duration};

const TEAM: &str = include_str!("../../../plan/tests/kong/team.yml");

/// The team's file, but for where its one upstream is.
async fn bed() -> Bed {
    let monolith = Upstream::start("monolith").await;
    let service = Upstream::start("django").await;
    let kong = TEAM.replace("host.docker.internal:8001", &service.address.to_string());
    let text = format!(
        "monolith: {{ url: \"http://{}\", database: \"postgres://u:p@127.0.0.1:1/m\" }}\n\
         services: {{}}\n\
         gateway: {{ listen: \"127.0.0.1:0\", workers: 2, kong: kong.yml }}\n\
         extractions: {{}}\n",
        monolith.address
    );
    let read = move |_: &std::path::Path| Ok(kong.clone());
    let plan = Plan::parse_with_files(&text, |_| None, &Files::new("", &read)).unwrap();
    let mover = FakeMover::new();
    let gateway = Gateway::start(&plan, Arc::clone(&mover) as Arc<dyn Positions>).unwrap();
    gateway.renew_lease(std::time::Instant::now() + Duration::from_hours(1));
    Bed {
        gateway,
        monolith,
        service,
        mover,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_routes_and_plugins_work_unchanged() {
    let bed = bed().await;
    let address = bed.service.address.to_string();
    let login = ask(&bed, "POST", "/api/auth/login?next=/", &[]).await;
    assert_eq!((login.status, login.body.as_str()), (200, "django"));
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
    assert_eq!(bed.service.count(), 1);
    // What is in no route goes to the monolith.
    assert_eq!(
        ask(&bed, "GET", "/api/users-old", &[]).await.body,
        "monolith"
    );
}
