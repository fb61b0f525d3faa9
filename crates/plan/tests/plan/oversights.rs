//! What a plan says and cannot be.

use plan::{Oversight, Plan};
use std::time::Duration;

fn oversights(gateway: &str) -> Vec<Oversight> {
    let text = format!(
        "monolith: {{ url: http://127.0.0.1:1 }}\nservices: {{ s: {{ url: http://127.0.0.1:2 }} }}\n\
         gateway:\n  listen: 127.0.0.1:3\n{gateway}"
    );
    Plan::parse(&text, |_| None).unwrap().oversights()
}

#[test]
fn the_second_of_two_routes_that_match_the_same_gets_nothing() {
    let found = oversights(
        "  routes:\n    a: { to: monolith, path: /x, methods: [GET, PUT] }\n    \
         b: { to: s, path: /x, methods: [PUT, GET] }\n",
    );
    let [Oversight::NoRequest { route, by }] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(route.contains("`b`") && by.contains("`a`"), "{found:?}");
    for other in [
        "path: /y",
        "path: /x, methods: [GET]",
        "path: /x, methods: [GET, PUT], host: a.example",
        "path: /x, methods: [GET, PUT], headers: { x-a: \"1\" }",
    ] {
        let found = oversights(&format!(
            "  routes:\n    a: {{ to: monolith, path: /x, methods: [GET, PUT] }}\n    \
             b: {{ to: s, {other} }}\n"
        ));
        assert_eq!(found, [], "{other}");
    }
}

#[test]
fn groups_want_somebody_who_is_known() {
    let found = oversights("  routes: { g: { to: s, path: /g, policies: { groups: [a] } } }\n");
    let [Oversight::NobodyKnown { route }] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(route.contains("`g`"), "{route}");
    let known = "  consumers: { a: { keys: [k-1], groups: [a] } }\n";
    for gateway in [
        "  routes: { g: { to: s, path: /g, policies: { keys: {}, groups: [a] } } }\n",
        "  policies: { keys: {} }\n  routes: { g: { to: s, path: /g, policies: { groups: [a] } } }\n",
    ] {
        assert_eq!(oversights(&format!("{known}{gateway}")), []);
    }
}

#[test]
fn a_stop_waits_as_long_as_any_route() {
    let gateway = "  grace: 30s\n  first-byte: 20s\n  routes:\n    \
                   r: { to: s, path: /r, timeouts: { first-byte: 40s } }\n";
    let found = oversights(gateway);
    let [
        Oversight::StopCutsOff {
            route, first_byte, ..
        },
    ] = &found[..]
    else {
        panic!("{found:?}")
    };
    assert!(route.contains("`r`"), "{route}");
    assert_eq!(*first_byte, Duration::from_secs(40));
    assert_eq!(oversights(&gateway.replace("30s", "40s")), []);
    assert_eq!(oversights(""), []);
}

#[test]
fn times_that_cannot_be_what_they_say_are_found() {
    let text = |steps: &str, quiet: &str| {
        format!(
            "monolith: {{ url: http://127.0.0.1:1 }}\nservices: {{ s: {{ url: http://127.0.0.1:2 }} }}\n\
             gateway: {{ listen: 127.0.0.1:3 }}\nextractions:\n  a:\n    service: s\n    \
             routes: [{{ path: /a }}]\n    data: {{ mode: shared }}\n    retire: {{ quiet: {quiet} }}\n    \
             rollout:\n      key: address\n      steps: [{steps}]\n      gates: {{ prometheus: {{ \
             p: {{ server: 'http://p', query: up, max: 1, max-age: 5m, for: 1m }} }} }}\n"
        )
    };
    let found = |steps: &str, quiet: &str| {
        let plan = plan::Plan::parse(&text(steps, quiet), |_| None).unwrap();
        plan.oversights()
    };
    assert_eq!(found("{ reads: 5%, for: 6m }, { reads: 9% }", "1d"), []);
    let both = found("{ reads: 5% }, { reads: 9%, for: 5m }", "8s");
    let [
        Oversight::QuietIsShort { quiet, .. },
        Oversight::GateOutlastsStep { step: 2, takes, .. },
    ] = &both[..]
    else {
        panic!("{both:?}")
    };
    assert_eq!((quiet.as_secs(), takes.as_secs()), (8, 360));
}
