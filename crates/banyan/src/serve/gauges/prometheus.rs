//! Asks Prometheus, by `/api/v1/query` of its HTTP API, which others speak as well.

use super::http_exchange::{HttpClient, head};
use bytes::Bytes;
use conductor::ports::{Measurement, Moment, Sample};
use http::{Request, StatusCode};
use http_body_util::Full;
use plan::PrometheusQuery;
use serde::Deserialize;

/// More series than these are counted, and no more is told of them.
const SERIES_MAX: usize = 10_000;

/// Asks a query. How far it may look back for a sample is told to the server, and some do not
/// go by it, such as Prometheus 2.42: who asks waits for so long first.
pub(super) async fn measure(
    http: &HttpClient,
    query: &PrometheusQuery,
) -> Result<Measurement, String> {
    let mut url = query.server.clone();
    let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.query_pairs_mut()
        .append_pair("query", &query.query)
        .append_pair(
            "lookback_delta",
            &format!("{}ms", query.max_age.as_millis()),
        );
    let request = Request::get(url.as_str())
        .header("accept", "application/json")
        .body(Full::<Bytes>::default())
        .map_err(|error| error.to_string())?;
    let (status, body) = http.exchange(request, &query.headers).await?;
    series(status, &body).map(Measurement::Series)
}

/// What Prometheus answers.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
enum Answer {
    Success {
        data: Data,
        #[serde(default)]
        warnings: Vec<String>,
    },
    Error {
        error: String,
    },
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "kebab-case")]
enum Data {
    Scalar(Point),
    Vector(Vec<Instant>),
    Matrix(Vec<Range>),
    String(serde::de::IgnoredAny),
}

/// Seconds since 1970, and a number as text.
#[derive(Deserialize)]
struct Point(f64, String);

#[derive(Deserialize)]
struct Instant {
    /// Absent of a histogram.
    value: Option<Point>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    values: Vec<Point>,
}

/// Reads an answer; the error says why it is none.
fn series(status: StatusCode, body: &[u8]) -> Result<Vec<Vec<Sample>>, String> {
    let answer = serde_json::from_slice(body);
    let answer = match answer {
        // With the error's own words whatever its status is.
        Ok(Answer::Error { error }) => {
            return Err(format!("Prometheus refuses the query: {error}"));
        }
        _ if !status.is_success() => return Err(format!("HTTP {status}: {}", head(body))),
        Err(error) => return Err(format!("no answer of Prometheus': {error}: {}", head(body))),
        Ok(answer) => answer,
    };
    let Answer::Success { data, warnings } = answer else {
        return Err("no answer of Prometheus'".to_owned());
    };
    if let Some(warning) = warnings.first() {
        // Of a part of the data, say.
        return Err(format!("Prometheus warns: {warning}"));
    }
    let all: Vec<Vec<Point>> = match data {
        Data::Scalar(point) => vec![vec![point]],
        Data::Vector(series) => {
            let points = series
                .into_iter()
                .map(|one| one.value.map(|point| vec![point]));
            let points: Option<_> = points.take(SERIES_MAX).collect();
            points.ok_or("the query answers with a histogram, not with a number")?
        }
        Data::Matrix(series) => {
            let points = series.into_iter().map(|one| one.values);
            points.take(SERIES_MAX).collect()
        }
        Data::String(_) => return Err("the query answers with a text".to_owned()),
    };
    let samples = |points: Vec<Point>| points.into_iter().map(sample).collect();
    all.into_iter().map(samples).collect()
}

fn sample(Point(seconds, text): Point) -> Result<Sample, String> {
    let value = text.parse();
    let value = value.map_err(|_| format!("`{}` is no number", head(text.as_bytes())))?;
    let millis = seconds * 1000.0;
    // 2^53: any later is no date.
    if !(0.0..9.0e15).contains(&millis) {
        return Err(format!("the sample is of no known time: {seconds}"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within the bounds"
    )]
    let at = Moment::from_millis(millis as u64);
    Ok(Sample { at, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<Vec<Sample>>, String> {
        series(StatusCode::OK, body.as_bytes())
    }

    fn of(kind: &str, result: &str) -> Result<Vec<Vec<Sample>>, String> {
        read(&format!(
            r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#
        ))
    }

    fn sample(at: u64, value: f64) -> Sample {
        let at = Moment::from_millis(at);
        Sample { at, value }
    }

    #[test]
    fn scalars_and_vectors_are_series_of_one_sample() {
        let one = vec![vec![sample(1_500, 0.25)]];
        assert_eq!(of("scalar", r#"[1.5,"0.25"]"#), Ok(one.clone()));
        let vector = r#"[{"metric":{"a":"b"},"value":[1.5,"0.25"]}]"#;
        assert_eq!(of("vector", vector), Ok(one.clone()));
        let matrix = r#"[{"metric":{},"values":[[1.5,"0.25"]]}]"#;
        assert_eq!(of("matrix", matrix), Ok(one));
        let infinite = of("scalar", r#"[1,"+Inf"]"#).unwrap();
        assert!(infinite[0][0].value.is_infinite());
        assert!(of("scalar", r#"[1,"NaN"]"#).unwrap()[0][0].value.is_nan());
    }

    #[test]
    fn empty_answers_and_several_series_are_told_apart() {
        assert_eq!(of("vector", "[]"), Ok(vec![]));
        assert_eq!(
            of("matrix", r#"[{"metric":{},"values":[]}]"#),
            Ok(vec![vec![]])
        );
        let two = r#"[{"metric":{},"value":[1,"1"]},{"metric":{},"value":[1,"2"]}]"#;
        assert_eq!(of("vector", two).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_answer_is_no_value() {
        for (body, why) in [
            ("", "no answer of Prometheus'"),
            ("<html>login</html>", "<html>login"),
            ("{}", "no answer"),
            (r#"{"status":"success"}"#, "no answer"),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
                "refuses the query: parse error",
            ),
            (
                r#"{"status":"success","warnings":["a store is down"],"data":{"resultType":"scalar","result":[1,"1"]}}"#,
                "a store is down",
            ),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        for (kind, result) in [
            ("scalar", r#"[1,"many"]"#),
            ("scalar", r#"["1","1"]"#),
            ("scalar", r#"[-1,"1"]"#),
            ("scalar", r#"[1e300,"1"]"#),
            ("string", r#"[1,"1"]"#),
            ("vector", r#"[{"metric":{},"histogram":[1,{}]}]"#),
            ("vector", r#"{"a":1}"#),
            ("tensor", "[]"),
        ] {
            assert!(of(kind, result).is_err(), "{kind} {result}");
        }
        let busy = series(StatusCode::SERVICE_UNAVAILABLE, b"overloaded").unwrap_err();
        assert!(
            busy.contains("503") && busy.contains("overloaded"),
            "{busy}"
        );
    }
}
