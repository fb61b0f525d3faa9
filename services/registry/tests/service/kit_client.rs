//! The kit's registration and discovery against the real registry.

use axum::Router;
use axum::routing::get;
use kit::server::{Running, start};
use kit::settings::{self, Identity};
use kit::{Client, Kit, Service};
use testbed::deadline;

use crate::scene::{KEY, Scene, TIMEOUT};

/// A kit with these settings, which shows services' tokens.
pub fn kit(name: &'static str, settings: &[(&str, &str)]) -> Kit {
    let lookup = |variable: &str| match variable {
        "SERVICE_PORT" => Some("0".to_owned()),
        "SERVICE_TOKEN_SECRET" => Some(crate::scene::SERVICE_SECRET.to_owned()),
        _ => {
            let found = settings.iter().find(|(name, _)| *name == variable);
            found.map(|(_, value)| (*value).to_owned())
        }
    };
    let identity = Identity::new(name, "1.2.3", 8110);
    let server = settings::read::<settings::Server>(&identity, &lookup).unwrap();
    Kit::new(identity, server)
}

async fn greeter(registry: &str, name: &'static str) -> Running {
    let settings = [
        ("REGISTRY_URL", registry),
        ("REGISTRY_SERVICE_API_KEY", KEY),
    ];
    let routes = Router::new().route("/name", get(move || std::future::ready(name)));
    start(kit("greeter", &settings), Service::new(routes))
        .await
        .unwrap()
}

fn client(registry: &str) -> Client {
    let settings = [
        ("REGISTRY_URL", registry),
        ("REGISTRY_SERVICE_API_KEY", KEY),
    ];
    kit("caller", &settings).client("greeter").build().unwrap()
}

async fn answers(client: &Client, expected: &[&str]) {
    let what = format!("answers of {expected:?}");
    let condition = async || {
        let mut heard = Vec::new();
        for _ in 0..expected.len() {
            if let Ok(answer) = client.get("/name").send().await {
                heard.push(String::from_utf8_lossy(&answer.body).into_owned());
            }
        }
        heard.sort_unstable();
        Ok((heard == expected).then_some(()))
    };
    deadline::until(&what, TIMEOUT, condition).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_found_while_the_registry_is_dead_and_after_it() {
    let mut scene = Scene::new().await;
    let registry = scene.registry();
    let url = registry.url();
    let one = greeter(&url, "one").await;
    let caller = client(&url);
    answers(&caller, &["one"]).await;

    // The registry dies: what was found last is used.
    scene.kill(0).await;
    for _ in 0..20 {
        assert_eq!(caller.get("/name").send().await.unwrap().body, "one");
    }
    // Somebody starts meanwhile, and serves.
    let two = greeter(&url, "two").await;
    scene.start(0).await;
    answers(&caller, &["one", "two"]).await;
    let found = registry.get("/registry/services?name=greeter").await;
    assert_eq!(found.as_array().unwrap().len(), 2, "nobody is there twice");

    // The database dies: the same.
    scene.bed.cluster.kill().await;
    answers(&caller, &["one", "two"]).await;
    scene.revive_database().await;
    assert_eq!(registry.urls("greeter").await.len(), 2);

    // It says goodbye and is not asked again.
    one.stop().await;
    registry
        .until("/registry/services?name=greeter", "the goodbye", |found| {
            found.as_array().unwrap().len() == 1
        })
        .await;
    answers(&caller, &["two", "two"]).await;
    two.stop().await;
    registry.until_urls("greeter", &[]).await;
}
