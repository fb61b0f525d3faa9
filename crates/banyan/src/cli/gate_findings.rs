//! Gates of the steps that could not be measured as things are.

use crate::serve::gauges::{Outside, is_there};
use futures_util::future::join_all;
use plan::{GateSource, MeasuredGate, Plan, PrometheusQuery};
use protocol::finding::{Finding, FindingId};
use std::time::Duration;

/// The longest that somebody who waits for `check` waits for an answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks each Prometheus its query, and looks for each command and for whoever listens for
/// a webhook, all at once. Webhooks are not asked: a question may have effects.
pub(super) async fn of(plan: &Plan) -> Vec<Finding> {
    let outside = Outside::new();
    let mut looks = Vec::new();
    for (name, extraction) in &plan.extractions {
        let steps = extraction.schedule.iter().flat_map(|one| &one.steps);
        let mut seen: Vec<&MeasuredGate> = Vec::new();
        for gate in steps.flat_map(|step| &step.gates.measured) {
            // A gate of all steps is in each of them.
            if seen.contains(&gate) {
                continue;
            }
            seen.push(gate);
            let outside = &outside;
            looks.push(async move {
                let why = look(outside, gate).await.err()?;
                Some(Finding::warn(
                    FindingId::GateCannotWork,
                    format!("gate `{}` of {name}", gate.name),
                    why,
                    "Until it is measured, the step goes on waiting",
                ))
            });
        }
    }
    join_all(looks).await.into_iter().flatten().collect()
}

async fn look(outside: &Outside, gate: &MeasuredGate) -> Result<(), String> {
    let limit = gate.timeout.min(LIMIT);
    match &gate.source {
        GateSource::Prometheus(query) => {
            let asked = outside.values(query, limit).await;
            let values = asked.map_err(|why| format!("{}: {why}", query.server))?;
            one_value(query, &values)
        }
        GateSource::Command(words) => {
            let program = words.first().map_or("", String::as_str);
            if is_there(program) {
                Ok(())
            } else {
                Err(format!("`{program}` is not there to be run"))
            }
        }
        GateSource::Webhook(webhook) => {
            // Its path or query may be a secret.
            let place = webhook.url.origin().ascii_serialization();
            let listens = Outside::listens(webhook, limit).await;
            listens.map_err(|why| format!("{place}: {why}"))
        }
    }
}

/// Whether a query has one number now, as its gate needs it.
fn one_value(query: &PrometheusQuery, values: &[f64]) -> Result<(), String> {
    let PrometheusQuery { server, query, .. } = query;
    match values {
        [] => Err(format!(
            "the query has no value now at {server}: `{query}`. A name that it does not know has \
             none, either"
        )),
        [value] if value.is_finite() => Ok(()),
        [value] => Err(format!(
            "the query's value is {value} now at {server}: `{query}`"
        )),
        several => Err(format!(
            "the query has {} values now at {server}, and a gate takes one: `{query}`",
            several.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan whose steps have these gates.
    fn planned(gates: &str) -> Plan {
        let text = format!(
            r#"
monolith: {{ url: "http://127.0.0.1:1" }}
services: {{ a: {{ url: "http://127.0.0.1:2" }} }}
gateway: {{ listen: "127.0.0.1:3" }}
extractions:
  one:
    service: a
    routes: [{{ path: /one }}]
    data: {{ mode: shared }}
    rollout:
      key: {{ header: x-user-id }}
      steps: [{{ reads: 5%, writes: 0% }}, {{ reads: 10%, writes: 0% }}]
      gates:{gates}
"#
        );
        Plan::parse(&text, |_| None).unwrap()
    }

    #[tokio::test]
    async fn what_is_not_there_is_found_once() {
        let plan = planned(
            r#"
        prometheus: { saturation: { server: "http://127.0.0.1:1", query: up, max: 1 } }
        webhook: { lead: { url: "http://127.0.0.1:1" } }
        command: { gone: { run: [no-such-program] }, there: { run: [sh, -c, exit] } }"#,
        );
        let found = of(&plan).await;
        let objects: Vec<&str> = found.iter().map(|one| one.object.as_str()).collect();
        let expected = [
            "gate `prometheus saturation` of one",
            "gate `webhook lead` of one",
            "gate `command gone` of one",
        ];
        assert_eq!(objects, expected);
    }

    /// What Prometheus is asked has to have one number.
    #[tokio::test]
    async fn a_query_without_a_value_is_found() {
        for (result, why) in [
            ("[]", Some("has no value now")),
            (r#"[{"metric":{},"value":[1,"0.5"]}]"#, None),
            (
                r#"[{"metric":{},"value":[1,"NaN"]}]"#,
                Some("value is NaN now"),
            ),
            (
                r#"[{"metric":{},"value":[1,"1"]},{"metric":{},"value":[1,"2"]}]"#,
                Some("has 2 values now"),
            ),
        ] {
            let body = format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#
            );
            let server = answering(body).await;
            let plan = planned(&format!(
                r#" {{ prometheus: {{ a: {{ server: "{server}", query: requests_totl, max: 1 }} }} }}"#
            ));
            let found = of(&plan).await;
            let problem = found.first().map(|one| one.problem.as_str());
            match why {
                Some(why) => assert!(problem.unwrap().contains(why), "{problem:?}"),
                None => assert_eq!(problem, None),
            }
        }
    }

    /// Answers one request; its address.
    async fn answering(body: String) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 16 * 1024];
            let _ = stream.read(&mut buffer).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes()).await;
        });
        address
    }
}
