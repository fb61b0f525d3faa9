//! Asks somebody by POST, with the body that Flagger sends to its webhooks
//! (docs.flagger.app, "Webhooks"), so that what is written for one works with the other.

use super::http_exchange::{HttpClient, head};
use bytes::Bytes;
use conductor::ports::{Measurement, Occasion};
use http::{Request, StatusCode};
use http_body_util::Full;
use plan::Webhook;
use serde::Serialize;
use std::collections::BTreeMap;

/// Flagger's payload.
#[derive(Serialize)]
struct Payload<'a> {
    name: &'a str,
    namespace: &'a str,
    phase: &'a str,
    checksum: &'a str,
    metadata: BTreeMap<&'a str, &'a str>,
}

/// Asks once. It is asked again in the gate's time.
pub(super) async fn measure(
    http: &HttpClient,
    webhook: &Webhook,
    occasion: &Occasion,
) -> Result<Measurement, String> {
    let body =
        serde_json::to_vec(&payload(webhook, occasion)).map_err(|error| error.to_string())?;
    let request = Request::post(webhook.url.as_str())
        .header("content-type", "application/json")
        .body(Full::from(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let (status, body) = http.exchange(request, &webhook.headers).await?;
    answer(status, &body)
}

fn payload<'a>(webhook: &'a Webhook, occasion: &'a Occasion) -> Payload<'a> {
    let step = std::iter::once(("step", occasion.step.as_str()));
    let own = webhook.metadata.iter();
    let own = own.map(|(key, value)| (key.as_str(), value.as_str()));
    Payload {
        name: occasion.extraction.as_str(),
        namespace: &webhook.namespace,
        phase: occasion.phase,
        checksum: &occasion.plan,
        metadata: step.chain(own).collect(),
    }
}

/// 2xx is yes. 4xx and 5xx are no, but for those that say that nobody was asked: by whoever
/// is in front, or because the plan has the wrong address or credentials.
fn answer(status: StatusCode, body: &[u8]) -> Result<Measurement, String> {
    let said = head(body);
    let text = if said.is_empty() {
        format!("HTTP {status}")
    } else {
        format!("HTTP {status}: {said}")
    };
    match status.as_u16() {
        200..300 => Ok(Measurement::Answer(true, text)),
        401 | 404 | 405 | 407 | 408 | 429 | 502..=504 => Err(text),
        400..600 => Ok(Measurement::Answer(false, text)),
        300..400 => Err(format!("{text}; redirects are not followed")),
        _ => Err(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::ExtractionName;

    #[test]
    fn only_2xx_is_yes_and_what_nobody_answered_is_no_answer() {
        let is = |status: u16| match answer(StatusCode::from_u16(status).unwrap(), b"why") {
            Ok(Measurement::Answer(is_yes, text)) => {
                assert!(text.contains("why"), "{text}");
                Some(is_yes)
            }
            Ok(other) => panic!("{other:?}"),
            Err(text) => {
                assert!(text.contains("why"), "{text}");
                None
            }
        };
        for status in [200, 201, 202, 204] {
            assert_eq!(is(status), Some(true), "{status}");
        }
        // Flagger's load tester says no by 403 of a gate, by 500 of a command.
        for status in [400, 403, 409, 422, 500, 501] {
            assert_eq!(is(status), Some(false), "{status}");
        }
        for status in [301, 302, 307, 401, 404, 405, 408, 429, 502, 503, 504] {
            assert_eq!(is(status), None, "{status}");
        }
    }

    #[test]
    fn the_payload_is_flaggers() {
        let webhook = Webhook {
            url: "http://127.0.0.1:1/gate".parse().unwrap(),
            headers: Vec::new(),
            namespace: "production".to_owned(),
            metadata: BTreeMap::from([("team".to_owned(), "land".to_owned())]),
        };
        let occasion = Occasion {
            extraction: ExtractionName::new("contracts").unwrap(),
            step: "reads 5% for 24h".to_owned(),
            phase: "Progressing",
            plan: "abc".to_owned(),
        };
        assert_eq!(
            serde_json::json!(payload(&webhook, &occasion)),
            serde_json::json!({
                "name": "contracts", "namespace": "production", "phase": "Progressing",
                "checksum": "abc", "metadata": { "step": "reads 5% for 24h", "team": "land" },
            })
        );
    }
}
