//! The verbs about the gateway's routes.

use super::render;
use crate::{client::Client, exit::Failure};
use conductor::api::ExplainRequest;
use schemars::JsonSchema;
use serde::Serialize;
use std::{net::IpAddr, path::Path};

/// What the gateway tells of a route, and the heading of its column.
const COLUMNS: [(&str, &str); 3] = [
    ("matches", "matches"),
    ("belongs_to", "belongs to"),
    ("to", "goes to"),
];

/// What a reload prints with `--json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ReloadReport {
    pub(super) reloaded: bool,
    /// How the steps of the extractions differ from before, in words.
    pub(super) steps: Vec<String>,
    /// The feature flags of which the plan says something else than before.
    pub(super) flags: Vec<String>,
}

pub(super) async fn routes(state: &Path, json: bool) -> Result<(), Failure> {
    let routes = Client::find(state)?.routes().await?;
    if json {
        return render::json(&routes);
    }
    let mut rows = render::table(&COLUMNS.map(|(_, heading)| heading));
    for route in &routes {
        rows.add_row(COLUMNS.map(|(key, _)| route.get(key).cloned().unwrap_or_default()));
    }
    say!("{rows}");
    Ok(())
}

pub(super) async fn reload(state: &Path, json: bool) -> Result<(), Failure> {
    let reply = Client::find(state)?.reload().await?;
    if json {
        return render::json(&ReloadReport {
            reloaded: true,
            steps: reply.steps,
            flags: reply.flags,
        });
    }
    say!("The gateway goes by the plan as it now is.");
    for change in &reply.steps {
        say!("{}", render::wrapped(&format!("Of the steps of {change}.")));
    }
    for flag in &reply.flags {
        say!("The plan says something else of the flag {flag}.");
    }
    Ok(())
}

pub(super) fn question(
    method: &str,
    url: String,
    headers: &[String],
    from: Option<IpAddr>,
    data: Option<String>,
) -> Result<ExplainRequest, Failure> {
    if !url.starts_with('/') && !url.contains("://") {
        return Err(Failure::Refused(format!(
            "`{url}` is no path: write one from its `/` on, such as /contracts/7?page=2, or a whole \
             URL"
        )));
    }
    let header = |text: &String| {
        let (name, value) = text.split_once(':').ok_or_else(|| {
            Failure::Refused(format!("`{text}` is no header: write 'name: value'"))
        })?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    Ok(ExplainRequest {
        method: method.to_ascii_uppercase(),
        url,
        headers: headers.iter().map(header).collect::<Result<_, Failure>>()?,
        from,
        data: data.unwrap_or_default(),
    })
}

/// `why`: the status that the gateway would answer with, and what is wrong.
fn refusal(question: &ExplainRequest, why: &str) -> String {
    let ExplainRequest { method, url, .. } = question;
    match why.split_once(": ") {
        Some((code, what)) if code.parse::<u16>().is_ok() => {
            format!("the gateway would answer {method} {url} with {code} itself: {what}")
        }
        _ => format!("{method} {url}: {why}"),
    }
}

pub(super) async fn explain(
    state: &Path,
    question: &ExplainRequest,
    json: bool,
) -> Result<(), Failure> {
    let explained = Client::find(state)?.explain(question).await;
    let explanation = explained.map_err(|failure| match failure {
        Failure::Refused(why) => Failure::Refused(refusal(question, &why)),
        failure => failure,
    })?;
    if json {
        return render::json(&explanation);
    }
    let field = |name: &str| explanation.get(name).and_then(|value| value.as_str());
    say!("route       {}", field("route").unwrap_or("none matches"));
    say!("belongs to  {}", field("belongs_to").unwrap_or("none"));
    say!("taken for   a {}", field("kind").unwrap_or("read"));
    say!("goes to     {}", field("to").unwrap_or("nowhere"));
    let why = field("why").unwrap_or_default();
    say!("{}", render::paragraph("because     ", "            ", why));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_refused_with_what_would_be_one() {
        let asked = |url: &str| question("get", url.to_owned(), &[], None, None);
        let error = asked("contracts").unwrap_err().to_string();
        assert!(
            error.starts_with("`contracts` is no path: write"),
            "{error}"
        );
        for url in ["/contracts?a=1", "https://shop.example/contracts"] {
            assert_eq!(asked(url).unwrap().method, "GET");
        }
        let asked = asked("/a/%zz").unwrap();
        assert_eq!(
            refusal(&asked, "400: it is odd: as /a"),
            "the gateway would answer GET /a/%zz with 400 itself: it is odd: as /a"
        );
        assert_eq!(
            refusal(&asked, "that is no request: x"),
            "GET /a/%zz: that is no request: x"
        );
    }
}
