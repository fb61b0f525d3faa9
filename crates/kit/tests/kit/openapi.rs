//! What a service says of its interface.

use kit::openapi::{OpenApiRouter, routes};
use kit::{Json, Problem, Service, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::support::{get, post, started};

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Greeting {
    whom: String,
}

#[utoipa::path(post, path = "/greetings", request_body = Greeting,
    responses((status = 200, body = Greeting)), security(("user" = [])))]
async fn greet(_: User, Json(greeting): Json<Greeting>) -> Result<Json<Greeting>, Problem> {
    Ok(Json(greeting))
}

#[tokio::test]
async fn the_description_has_what_all_services_share() {
    let service = Service::documented(OpenApiRouter::default().routes(routes!(greet)));
    let running = started(&[], service).await;
    let answer = get(&running, "/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    assert_eq!(document["info"]["title"], "greeter");
    assert_eq!(document["info"]["version"], "1.2.3");
    let operation = &document["paths"]["/greetings"]["post"];
    assert!(operation["responses"]["200"].is_object());
    let failure = &operation["responses"]["default"]["content"]["application/problem+json"];
    assert_eq!(failure["schema"]["$ref"], "#/components/schemas/Problem");
    let components = &document["components"];
    assert_eq!(
        components["schemas"]["Greeting"]["additionalProperties"],
        false
    );
    assert_eq!(components["securitySchemes"]["user"]["scheme"], "bearer");
    // And the routes are there.
    post(&running, "/greetings", "{}")
        .await
        .is_problem(401, "credential-missing");
    running.stop().await;
}
