//! What a service says of its interface (OpenAPI 3.1), at `/openapi.json`.
//!
//! A service collects its documented handlers in an [`OpenApiRouter`]; what is
//! the same for every service is added here: who it is, how callers show who
//! they are, and that every failure is a problem.
//!
//! ```
//! use kit::openapi::{OpenApiRouter, routes};
//! use kit::{Json, Problem, Service, User};
//! use serde::{Deserialize, Serialize};
//! use utoipa::ToSchema;
//!
//! #[derive(Serialize, Deserialize, ToSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Greeting {
//!     /// Whom to greet.
//!     #[schema(min_length = 1, max_length = 100)]
//!     whom: String,
//! }
//!
//! /// Greets somebody.
//! #[utoipa::path(post, path = "/greetings", request_body = Greeting,
//!     responses((status = 200, body = Greeting)), security(("user" = [])))]
//! async fn greet(_: User, Json(greeting): Json<Greeting>) -> Result<Json<Greeting>, Problem> {
//!     Ok(Json(greeting))
//! }
//!
//! let service = Service::documented(OpenApiRouter::default().routes(routes!(greet)));
//! ```

use serde_json::{Value, json};
use utoipa::openapi::OpenApi;
pub use utoipa_axum::router::OpenApiRouter;
pub use utoipa_axum::routes;

use crate::Identity;
use crate::problem::MEDIA_TYPE;

/// The names of ways to show who calls; operations say `security(("user" = []))`.
pub const API_KEY: &str = "key";
/// By a user's token.
pub const USER: &str = "user";
/// By another service's token.
pub const SERVICE: &str = "service";

/// The whole document, as it is served.
pub(crate) fn document(identity: Identity, api: &OpenApi) -> Result<String, serde_json::Error> {
    let mut document = serde_json::to_value(api)?;
    document["info"] = json!({ "title": identity.name, "version": identity.version });
    let components = object(&mut document, "components");
    object(components, "schemas")["Problem"] = problem();
    let schemes = object(components, "securitySchemes");
    let header = |name| json!({ "type": "apiKey", "in": "header", "name": name });
    schemes[API_KEY] = header("X-API-Key");
    schemes[SERVICE] = header("X-Service-Token");
    schemes[USER] = json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" });
    let failure = json!({
        "description": "A failure (RFC 9457).",
        "content": { MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let paths = document["paths"].as_object_mut().into_iter();
    for path in paths.flat_map(|paths| paths.values_mut()) {
        let operations = path.as_object_mut().into_iter().flatten();
        for (_, operation) in operations.filter(|(_, part)| part["responses"].is_object()) {
            let responses = &mut operation["responses"];
            if responses["default"].is_null() {
                responses["default"] = failure.clone();
            }
        }
    }
    serde_json::to_string(&document)
}

/// The member of an object, made where it is not there.
fn object<'a>(parent: &'a mut Value, name: &str) -> &'a mut Value {
    let member = &mut parent[name];
    if !member.is_object() {
        *member = json!({});
    }
    member
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string" },
            "correlation_id": { "type": "string" },
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": { "type": "string" },
                        "detail": { "type": "string" },
                    },
                },
            },
        },
    })
}
