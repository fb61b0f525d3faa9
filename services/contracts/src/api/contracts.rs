//! `/api/contracts`.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::body;
use super::interface::{Failure, NewContract, StatusChange};
use super::state::App;
use crate::contract::{Contract, Event, Status};
use crate::error::ApiError;
use crate::fields::{FieldErrors, NOT_AN_INTEGER, is_integer, positive_integer};
use crate::json::Fields;
use crate::pages::{Page, PageRequest, Query, is_host};
use crate::store::{Conditions, Filter};
use crate::validation::{self, Mentions};

/// The user who calls, as whatever stands in front says.
const USER_HEADER: &str = "x-user-id";

/// The id in an address. What is no row of digits is no address at all.
pub struct ContractId(i64);

impl<S: Send + Sync> FromRequestParts<S> for ContractId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segment = Path::<String>::from_request_parts(parts, state).await;
        let Ok(Path(segment)) = segment else {
            return Err(ApiError::NotFound);
        };
        if segment.is_empty() || !segment.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ApiError::NotFound);
        }
        // Beyond every id there is no contract either.
        Ok(Self(segment.parse().unwrap_or(i64::MAX)))
    }
}

/// Contracts, the newest first.
#[utoipa::path(get, path = "/api/contracts",
    params(
        ("page" = Option<String>, Query, description = "Which page; 1 unless said."),
        ("page_size" = Option<String>, Query,
            description = "20 unless said, at most 100; what is none is taken as 20."),
        ("status" = Option<String>, Query, description = "Only of this status."),
        ("seller" = Option<String>, Query, description = "Only of this seller."),
        ("buyer" = Option<String>, Query, description = "Only of this buyer."),
        ("tag" = Option<String>, Query, description = "Only with this tag."),
    ),
    responses((status = 200, body = Page<Vec<Contract>>), (status = "default", body = Failure)))]
pub async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let address = address(&headers)?;
    let query = Query::new(query.as_deref());
    let filter = read_filter(&query)?;
    let page = app.store.list(&filter, PageRequest::read(&query)).await?;
    let page = page.ok_or(ApiError::InvalidPage)?;
    let answer = page
        .position
        .page(page.count, page.contracts, &address, &query);
    Ok(Json(answer).into_response())
}

/// Makes a contract.
#[utoipa::path(post, path = "/api/contracts", request_body = NewContract,
    params(("X-User-Id" = Option<String>, Header, description = "Who calls; becomes `created_by`.")),
    responses((status = 201, body = Contract), (status = "default", body = Failure)))]
pub async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, ApiError> {
    let bytes = body::json_bytes(&headers, request).await?;
    let fields = Fields::read(&bytes)?;
    let existence = app.directory.existence(Mentions::of(&fields)).await?;
    let new = validation::new_contract(&fields, existence)?;
    let contract = app.store.create(new, caller(&headers)).await?;
    Ok((StatusCode::CREATED, Json(contract)).into_response())
}

/// A contract.
#[utoipa::path(get, path = "/api/contracts/{id}",
    params(("id" = i64, Path, description = "Which one.")),
    responses((status = 200, body = Contract), (status = "default", body = Failure)))]
pub async fn show(
    State(app): State<App>,
    ContractId(id): ContractId,
) -> Result<Response, ApiError> {
    let contract = app.store.find(id).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(contract).into_response())
}

/// Changes a contract's status, in any order of statuses.
#[utoipa::path(patch, path = "/api/contracts/{id}", request_body = StatusChange,
    params(("id" = i64, Path, description = "Which one.")),
    responses((status = 200, body = Contract), (status = "default", body = Failure)))]
pub async fn change(
    State(app): State<App>,
    ContractId(id): ContractId,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, ApiError> {
    let bytes = match body::json_bytes(&headers, request).await {
        Ok(bytes) => bytes,
        Err(error @ ApiError::UnsupportedMediaType(_)) => {
            return Err(unless_missing(&app, id, error).await);
        }
        Err(error) => return Err(error),
    };
    let change = Fields::read(&bytes)
        .map_err(ApiError::from)
        .and_then(|fields| validation::status_change(&fields).map_err(ApiError::from));
    let change = match change {
        Ok(change) => change,
        Err(error) => return Err(unless_missing(&app, id, error).await),
    };
    let contract = app
        .store
        .change_status(id, &change)
        .await?
        .ok_or(ApiError::NotFound)?;
    Ok(Json(contract).into_response())
}

/// What was written to a contract, the oldest first.
#[utoipa::path(get, path = "/api/contracts/{id}/events",
    params(("id" = i64, Path, description = "Which one.")),
    responses((status = 200, body = Vec<Event>), (status = "default", body = Failure)))]
pub async fn events(
    State(app): State<App>,
    ContractId(id): ContractId,
) -> Result<Response, ApiError> {
    let events = app.store.events(id).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(events).into_response())
}

/// An address that is none has no methods to refuse.
pub async fn refuse_method(_: ContractId, method: Method) -> ApiError {
    ApiError::MethodNotAllowed(method)
}

/// That a contract is missing is said before anything that is wrong with a
/// request to change it.
async fn unless_missing(app: &App, id: i64, error: ApiError) -> ApiError {
    match app.store.exists(id).await {
        Ok(true) => error,
        Ok(false) => ApiError::NotFound,
        Err(failure) => failure.into(),
    }
}

/// The list's URL as the client sees it.
fn address(headers: &HeaderMap) -> Result<String, ApiError> {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let host = host.filter(|host| is_host(host)).ok_or(ApiError::BadHost)?;
    Ok(format!("http://{host}/api/contracts"))
}

/// Nothing when it is not said, or said twice, or no number that is an id.
fn caller(headers: &HeaderMap) -> Option<i32> {
    let mut values = headers.get_all(USER_HEADER).iter();
    let (only, None) = (values.next()?, values.next()) else {
        return None;
    };
    positive_integer(only.to_str().ok()?).and_then(|id| i32::try_from(id).ok())
}

fn read_filter(query: &Query<'_>) -> Result<Filter, FieldErrors> {
    let mut errors = FieldErrors::default();
    let mut possible = true;
    let mut id = |name| {
        let text = query.get(name);
        if text.is_empty() {
            return None;
        }
        if !is_integer(&text) {
            errors.add(name, NOT_AN_INTEGER);
        }
        let id = text.parse().ok();
        possible &= id.is_some();
        id
    };
    let (seller, buyer) = (id("seller"), id("buyer"));
    let status = query.get("status");
    let given = Some(&status).filter(|status| !status.is_empty());
    let status = given.and_then(|given| {
        let status = Status::of(given);
        if status.is_none() {
            errors.add("status", validation::not_a_status(given));
        }
        status
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    let tag = Some(query.get("tag")).filter(|tag| !tag.is_empty());
    // PostgreSQL's text cannot hold it.
    possible &= !tag.as_ref().is_some_and(|tag| tag.contains('\0'));
    Ok(if possible {
        Filter::Where(Conditions {
            status,
            seller,
            buyer,
            tag,
        })
    } else {
        Filter::Nothing
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_are_read() {
        let none = Conditions::default();
        let read = |query| read_filter(&Query::new(Some(query))).unwrap();
        assert_eq!(
            read("seller=&buyer=&status=&tag=&page=2"),
            Filter::Where(none)
        );
        let all = Conditions {
            status: Some(Status::Active),
            seller: Some(-4),
            buyer: Some(9),
            tag: Some("a b".to_owned()),
        };
        assert_eq!(
            read("seller=-4&buyer=009&status=active&tag=a+b"),
            Filter::Where(all)
        );
        assert_eq!(read("seller=99999999999999999999"), Filter::Nothing);
        assert_eq!(read("tag=%00"), Filter::Nothing);
    }

    #[test]
    fn every_wrong_filter_is_reported() {
        let errors = read_filter(&Query::new(Some("seller=x&buyer=1.0&status=x"))).unwrap_err();
        assert_eq!(
            serde_json::to_value(errors).unwrap(),
            json!({
                "seller": ["A valid integer is required."],
                "buyer": ["A valid integer is required."],
                "status": ["\"x\" is not a valid choice."],
            })
        );
    }

    #[test]
    fn callers() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(USER_HEADER, value.parse().unwrap());
            }
            caller(&headers)
        };
        assert_eq!(read(&["7"]), Some(7));
        for values in [
            &[][..],
            &["0"],
            &["-7"],
            &["x"],
            &["7", "8"],
            &["2147483648"],
            &[""],
        ] {
            assert_eq!(read(values), None, "{values:?}");
        }
    }
}
