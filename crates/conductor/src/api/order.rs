//! A verb of a person's, carried out.

use super::{
    brown_outs,
    checklists::attest,
    failure::{CallError, bad_request, conflict, failure},
    messages::{ErrorKind, Parameters},
    record,
    state::ApiState,
    steps,
};
use crate::{
    request::{self, Reply, RequestError, Resumed},
    status::FailedRoute,
    worker::Worker,
};
use axum::http::StatusCode;
use plan::ExtractionName;
use protocol::rollout::Actor;

/// A verb that somebody has ordered.
pub(super) struct VerbOrder {
    pub(super) api: ApiState,
    pub(super) name: ExtractionName,
    pub(super) worker: Worker,
    pub(super) by: Option<Actor>,
    pub(super) verb: String,
    /// `None`: the extraction itself is not asked.
    pub(super) request: Option<request::Request>,
    pub(super) parameters: Parameters,
}

pub(super) async fn carry_out(order: VerbOrder) -> Result<Reply, CallError> {
    let VerbOrder {
        api,
        name,
        worker,
        by,
        verb,
        request,
        parameters,
    } = order;
    if verb == "attest" {
        if parameters.expected.is_some() {
            let why = "`attest` is bound to the item's `text`, and to no state: `expected` is for \
                       the other verbs";
            return Err(bad_request(why.to_owned()));
        }
        let lists = api.checklists.get(&name);
        let attested = attest(lists, by, &parameters).await;
        attested.map_err(conflict)?;
        return Ok(Reply::with(api.with_outside(&name, worker.status())));
    }
    if brown_outs::is_one(&verb) {
        let retirement = api.retirements.get(&name);
        let plan = (api.routes.plan_digest(), api.routes.has_old_ways(&name));
        let ordered = brown_outs::order(retirement, &verb, by, parameters, plan).await;
        ordered.map_err(conflict)?;
        return Ok(Reply::with(api.with_outside(&name, worker.status())));
    }
    let rollout = api.rollouts.get(&name);
    match steps::order(rollout, &worker, (&name, &verb), by, &parameters).await {
        steps::Ordered::NoOrder => {}
        steps::Ordered::Done => {
            let status = api.with_outside(&name, worker.status());
            return Ok(Reply {
                resumed: (verb == "resume").then_some(Resumed::Steps),
                ..Reply::with(status)
            });
        }
        steps::Ordered::Refused(why) => return Err(conflict(why)),
    }
    let Some(request) = request else {
        return Err(bad_request(format!(
            "`{verb}` is for the steps of the plan"
        )));
    };
    let raises = raises(&worker, request);
    if raises
        && !parameters.unhealthy
        && let Some(why) = sick_service(&api, &name).await
    {
        return Err(conflict(why));
    }
    let mut reply = worker
        .request_if(request, parameters.expected)
        .await
        .map_err(not_carried_out)?;
    reply.status = api.with_outside(&name, reply.status);
    reply.resumed = (request == request::Request::Resume).then_some(Resumed::Streams);
    if raises && parameters.unhealthy {
        // Not before it was taken: one that is refused switches no protection off.
        reply.waived = api.routes.waive_writing_reads(&name);
    }
    Ok(reply)
}

fn not_carried_out(refused: RequestError) -> CallError {
    let error = refused.to_string();
    match refused {
        RequestError::State(_)
        | RequestError::SharedData(_)
        | RequestError::NotShared
        | RequestError::OwnerChanged { .. }
        | RequestError::Changed(_) => conflict(error),
        RequestError::Findings(findings) => {
            let code = StatusCode::UNPROCESSABLE_ENTITY;
            failure(code, ErrorKind::Refused, error, findings)
        }
        RequestError::Failed(_) => record::unavailable(error),
    }
}

/// Whether more goes to the service by it.
fn raises(worker: &Worker, request: request::Request) -> bool {
    let request::Request::Shift(shift) = request else {
        return false;
    };
    let now = worker.status();
    shift.raises(now.reads_percent, now.writes_percent)
}

/// Why more is not to go to the service.
async fn sick_service(api: &ApiState, name: &ExtractionName) -> Option<String> {
    let routes = api.routes.writing_reads(name);
    if let Some(why) = writing_reads_text(&routes) {
        return Some(why);
    }
    let problem = api.routes.service_problem(name).await?;
    Some(format!(
        "the service is not healthy: {problem}. Nothing was shifted. See to it first, or shift all \
         the same with `--unhealthy`"
    ))
}

/// Why reads are not to go to a service whose fence refuses some of them.
fn writing_reads_text(routes: &[FailedRoute]) -> Option<String> {
    let first = routes.first()?;
    let named = routes
        .iter()
        .map(|one| format!("{} {} ({})", one.method, one.path, one.answers));
    Some(format!(
        "some reads write: the service's fence refused statements while it answered 5xx on {}. \
         Nothing was shifted. Give the route `{}` of the plan `as: writes`, so that the owner gets \
         it, and `banyan reload`; where the service was mended instead, shift in ten minutes, or all \
         the same with `--unhealthy`",
        named.collect::<Vec<_>>().join(", "),
        first.path
    ))
}
