//! What external services are asked.

use std::time::{Duration, Instant};

use http::{Request, StatusCode, header};
use kit::outside::Bounds;

use super::Shared;
use crate::external::External;
use crate::health::Outcome;
use crate::panel::{self, CATALOGUE_BYTES_MAX, Catalogue};

impl Shared {
    /// Whether it is well, and how long its answer took.
    pub(super) async fn check(&self, service: &External) -> (Outcome, Duration) {
        let bounds = Bounds {
            time: self.check_timeout,
            body_bytes: None,
        };
        let begun = Instant::now();
        let request = Request::get("/");
        let answer = self
            .outside
            .send(&service.health_url(), request, "", bounds)
            .await;
        let time = begun.elapsed();
        let outcome = match answer {
            Ok(answer) => Outcome::of_answer(answer.status().as_u16(), time, service.slow()),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        (outcome, time)
    }

    /// Its reference panels or what is wrong with them, and how long its answer
    /// took.
    pub(super) async fn catalogue(
        &self,
        service: &External,
    ) -> (Result<Catalogue, String>, Duration) {
        let bounds = Bounds {
            time: self.sync_timeout,
            body_bytes: Some(CATALOGUE_BYTES_MAX),
        };
        let begun = Instant::now();
        let request = Request::get("/").header(header::ACCEPT, "application/json");
        let answer = self
            .outside
            .send(&service.panels_url(), request, "", bounds)
            .await;
        let time = begun.elapsed();
        let found = match answer {
            Ok(answer) if answer.status() == StatusCode::OK => panel::read(answer.body()),
            Ok(answer) => Err(format!("it answered {}", answer.status().as_u16())),
            Err(error) => Err(error.to_string()),
        };
        (found, time)
    }
}
