//! The console over that API, and somebody who reads it.

use crate::fake::Fake;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use conductor::status::{ExtractionStatus, Status, VerifyStatus};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub struct Bed {
    pub router: Router,
    pub fake: Arc<Fake>,
    pub stop: CancellationToken,
}

/// What a page answered.
pub struct Page {
    pub code: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Bed {
    pub fn new() -> Self {
        let contracts = ExtractionStatus {
            name: "contracts".to_owned(),
            phase: "following".to_owned(),
            owner: "monolith".to_owned(),
            reads_percent: 10.0,
            last_verify: Some(VerifyStatus::default()),
            ..ExtractionStatus::default()
        };
        let fake = Arc::new(Fake {
            status: Mutex::new(Status {
                extractions: vec![contracts],
                ..Status::default()
            }),
            ..Fake::default()
        });
        let api = fake.router();
        let stop = CancellationToken::new();
        let router = web_console::router(web_console::Settings {
            api,
            token: "token".into(),
            stop: stop.clone(),
        });
        Self { router, fake, stop }
    }

    pub async fn send(&self, request: Request<Body>) -> Page {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (code, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Page {
            code,
            headers,
            text,
        }
    }

    pub async fn get(&self, path: &str, cookie: &str) -> Page {
        self.send(read(path, cookie)).await
    }

    pub async fn post(&self, path: &str, cookie: &str, form: &str) -> Page {
        let request = Request::post(path)
            .header(header::HOST, "localhost:7600")
            .header(header::COOKIE, cookie)
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(form.to_owned()))
            .unwrap();
        self.send(request).await
    }

    /// What the form of a page says of how it stood, as a field of its own.
    pub async fn expected(&self, page: &str, cookie: &str) -> String {
        let page = self.get(page, cookie).await.text;
        let (_, rest) = page.split_once("name=\"expected\" value=\"").unwrap();
        let shown = rest.split('"').next().unwrap();
        let json = shown.replace("&#34;", "\"");
        let value: String = url::form_urlencoded::byte_serialize(json.as_bytes()).collect();
        format!("expected={value}")
    }

    /// Signs in by key; the cookie, and the secret that forms carry.
    pub async fn sign_in(&self, key: &str) -> (String, String) {
        let form = self.get("/console/sign-in", "").await;
        let form_cookie = cookie(&form);
        let fields = format!("csrf={}&key={key}&name=olaf", csrf(&form));
        let answer = self.post("/console/sign-in", &form_cookie, &fields).await;
        assert_eq!(answer.code, StatusCode::SEE_OTHER, "{}", answer.text);
        let cookie = cookie(&answer);
        let page = self.get("/console/freeze", &cookie).await;
        let csrf = csrf(&page);
        (cookie, csrf)
    }
}

pub fn read(path: &str, cookie: &str) -> Request<Body> {
    Request::get(path)
        .header(header::HOST, "localhost:7600")
        .header(header::COOKIE, cookie)
        .body(Body::empty())
        .unwrap()
}

pub fn cookie(page: &Page) -> String {
    let kept = page.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["Path=/console", "HttpOnly", "SameSite=Strict"] {
        assert!(kept.contains(part), "{kept}");
    }
    kept.split(';').next().unwrap().to_owned()
}

pub fn csrf(page: &Page) -> String {
    let (_, rest) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

pub const SHIFT: &str = "/console/extractions/contracts/order/shift";
