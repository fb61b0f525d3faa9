//! The monolith and the service give the same answers: the same requests, side
//! by side, compared by status and body. What each makes up for itself (uuids,
//! times, the host in links) must have the same form instead.

mod requests;

use anyhow::{Result, ensure};
use requests::Request;
use serde_json::Value;
use std::time::Duration;
use testbed::http_client::{Answer, Connection};
use testbed::scene::{MONOLITH_DATABASE, Scene, Settings};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Fewer would not touch everything that API.md promises.
const REQUESTS_MIN: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn same_answers() -> Result<()> {
    let scene = Scene::set(&Settings::fast(0), &|_| {}).await?;
    let client = scene.monolith_cluster.superuser(MONOLITH_DATABASE).await?;
    client
        .batch_execute(
            "INSERT INTO auth_user (id, username, password, is_superuser, first_name, last_name,
                                    email, is_staff, is_active, date_joined)
             OVERRIDING SYSTEM VALUE
             VALUES (7, 'anna', '', false, '', '', '', false, true, now())",
        )
        .await?;
    let mut monolith = Connection::new(scene.web.url())?;
    let mut service = Connection::new(scene.service.url())?;
    for call in requests::parties_and_plots() {
        let answer = monolith.send(&call, TIMEOUT).await?;
        ensure!(
            answer.status == 201,
            "{}: {}",
            call.line(),
            answer.body_head()
        );
    }

    let requests = requests::all();
    ensure!(
        requests.len() >= REQUESTS_MIN,
        "only {} requests",
        requests.len()
    );
    let mut differing = Vec::new();
    let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
    for Request { call, expected } in &requests {
        let (here, there) = (
            monolith.send(call, TIMEOUT).await?,
            service.send(call, TIMEOUT).await?,
        );
        *statuses.entry(here.status.as_u16()).or_default() += 1;
        let (here, there) = (seen(&here), seen(&there));
        if here != there || !here.starts_with(&expected.to_string()) {
            let body = String::from_utf8_lossy(call.body.as_deref().unwrap_or_default());
            let line = call.line();
            let text = format!("{line} {body}\n  monolith {here}\n  service  {there}");
            differing.push(format!("{text}\n  expected {expected}"));
        }
    }
    println!("{} requests, statuses {statuses:?}", requests.len());
    ensure!(
        differing.is_empty(),
        "{} differ:\n{}",
        differing.len(),
        differing.join("\n")
    );
    Ok(())
}

/// Status, content type and body, without what each side makes up itself.
fn seen(answer: &Answer) -> String {
    let kind = answer
        .headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or("no content type");
    let body = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(mut body) => {
            normalise(&mut body);
            body.to_string()
        }
        Err(_) => answer.body_head(),
    };
    format!("{} {kind} {body}", answer.status.as_u16())
}

fn normalise(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(normalise),
        Value::Object(fields) => fields.values_mut().for_each(normalise),
        Value::String(text) => {
            if has_form(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
                "<uuid>".clone_into(text);
            } else if has_form(text, "9999-99-99T99:99:99.999999Z") {
                "<time>".clone_into(text);
            } else if let Some(rest) = text.strip_prefix("http://127.0.0.1:") {
                *text = format!(
                    "<host>{}",
                    rest.trim_start_matches(|c: char| c.is_ascii_digit())
                );
            }
        }
        _ => {}
    }
}

/// `x` stands for a hexadecimal digit, `9` for a decimal one.
fn has_form(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.chars().zip(form.chars()).all(|(c, form)| match form {
            'x' => c.is_ascii_digit() || ('a'..='f').contains(&c),
            '9' => c.is_ascii_digit(),
            other => c == other,
        })
}
