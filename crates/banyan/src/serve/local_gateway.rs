//! The gateway of this process, as the conductor sees gateways.

use super::{
    begun,
    current_plan::{CurrentPlan, PlanInForce},
    presence,
    refusals::RefusalWatch,
    side_health,
};
use async_trait::async_trait;
use bytes::Bytes;
use conductor::{
    RolloutHandle, ShiftGuard,
    api::{ExplainRequest, ReloadReply, Routes},
    ports::{
        AnswerCounts, BrownOutNotice, CellCounts, Gateways, HoldReport, InFlight, Predecessor,
        ShadowCounts, SideCounts,
    },
    status::{FailedRoute, HealthStatus, KeyStatus, RefusalStatus},
};
use gateway::{Declaration, Gateway, Removal};
use http::{Request, header, header::Entry};
use plan::{CohortKey, ExtractionName, People, Plan, Schedule};
use protocol::{Epoch, GatewayId, retire::OldCaller, rollout::UnixMillis, routing::Routing};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::sleep};

/// The longest that a report waits for held requests to be released.
const RELEASE: Duration = Duration::from_millis(500);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);

/// How often it is looked whether earlier processes serve.
const PRESENCE_LOOK: Duration = Duration::from_millis(100);

/// How often a service is asked before it is called unhealthy, where the plan does not
/// say, and the most where it does: somebody waits for the answer.
const HEALTH_TRIES: u32 = 3;
const HEALTH_TRIES_MAX: u32 = 5;

/// Between two such questions.
const HEALTH_PAUSE: Duration = Duration::from_millis(500);

/// Reads the plan again, as it was read at the start.
pub(crate) type Reread = Box<dyn Fn() -> Result<PlanInForce, String> + Send + Sync>;

/// How the plan is read again, and who is told.
pub(super) struct Reloading {
    pub(super) reread: Reread,
    pub(super) current: CurrentPlan,
    /// Those that go through steps; a conductor brings its own.
    pub(super) rollouts: Mutex<BTreeMap<ExtractionName, RolloutHandle>>,
}

pub(super) struct LocalGateway {
    gateway: Gateway,
    reloading: Reloading,
    /// Stands for the gateways of earlier processes.
    predecessor: GatewayId,
    /// Whether those serve nobody any more.
    is_gone: watch::Sender<bool>,
    /// The state directory.
    state: PathBuf,
    refusals: Arc<RefusalWatch>,
}

impl LocalGateway {
    pub(super) fn new(
        gateway: Gateway,
        reloading: Reloading,
        has_predecessor: bool,
        state: &Path,
        refusals: Arc<RefusalWatch>,
    ) -> Self {
        Self {
            gateway,
            reloading,
            predecessor: GatewayId(uuid::Uuid::new_v4()),
            is_gone: watch::Sender::new(!has_predecessor),
            state: state.to_owned(),
            refusals,
        }
    }

    /// What an extraction's fences have refused.
    pub(super) fn refusals(&self, extraction: &ExtractionName) -> Vec<RefusalStatus> {
        self.refusals.of(extraction)
    }

    /// Routes of an extraction whose reads write.
    pub(super) fn writing_reads(&self, extraction: &ExtractionName) -> Vec<FailedRoute> {
        self.refusals.writing_reads(extraction)
    }

    pub(super) fn has_predecessor(&self) -> bool {
        !*self.is_gone.borrow()
    }

    /// Waits until no earlier process serves: the gateway may go by its own pins then.
    pub(super) async fn alone(&self) {
        let mut is_said = false;
        loop {
            let others = presence::others(&self.state, Some(self.gateway.id()));
            if let Err(error) = &others
                && !std::mem::replace(&mut is_said, true)
            {
                tracing::error!(%error, "who else serves cannot be read, taken for somebody");
            }
            if others.is_ok_and(|others| others.is_empty()) {
                break;
            }
            tokio::time::sleep(PRESENCE_LOOK).await;
        }
        self.gateway.alone();
        self.is_gone.send_replace(true);
    }

    /// What is known of the earlier processes, until they are gone.
    fn earlier(&self) -> Vec<Predecessor> {
        if !self.has_predecessor() {
            return Vec::new();
        }
        match presence::others(&self.state, Some(self.gateway.id())) {
            Ok(others) if !others.is_empty() => others,
            // It is just going, or tells nothing of itself.
            _ => vec![Predecessor::default()],
        }
    }

    /// The plan that this process goes by.
    pub(super) fn plan(&self) -> Arc<Plan> {
        self.reloading.current.get()
    }

    /// Of its text.
    pub(super) fn digest(&self) -> Arc<str> {
        self.reloading.current.digest()
    }

    /// Reads the plan as it now is; nothing goes by it. The error says why not.
    pub(super) fn reread(&self) -> Result<Arc<Plan>, String> {
        (self.reloading.reread)().map(|read| read.plan)
    }

    /// Goes by the plan as it now is: all of it, or none. Says how its steps differ from
    /// before; the error says why it does not.
    pub(super) async fn reload(&self) -> Result<ReloadReply, String> {
        let Reloading {
            reread, current, ..
        } = &self.reloading;
        let read = reread()?;
        let plan = &*read.plan;
        let now = current.get();
        if !now.needs_restart(plan).is_empty() {
            // It is refused in any case: by what has begun, if that is why.
            let refusals = begun::refusals(Some(&now), plan, begun::SERVED).await;
            if !refusals.is_empty() {
                return Err(refusals.join("; "));
            }
        }
        let rollouts = self.rollouts(plan);
        let mut refusals = Vec::new();
        for (name, handle, schedule) in &rollouts {
            let accepted = handle.accepts(schedule, &read.digest).await;
            refusals.extend(accepted.err().map(|why| format!("{name}: {why}")));
        }
        if !refusals.is_empty() {
            return Err(refusals.join("; "));
        }
        let reloaded = self.gateway.reload(plan).await;
        reloaded.map_err(|error| {
            let told = std::iter::once(error.to_string()).chain(now.first_steps(plan));
            told.collect::<Vec<_>>().join(". ")
        })?;
        let digest = Arc::clone(&read.digest);
        let brought = ReloadReply {
            steps: now.step_changes(plan),
            flags: now.flag_changes(plan),
        };
        current.replace(read);
        // One that has begun a step meanwhile stays with its own, and says so.
        for (name, handle, schedule) in &rollouts {
            let replaced = handle.replace(schedule, &digest).await;
            refusals.extend(replaced.err().map(|why| format!("{name}: {why}")));
        }
        if refusals.is_empty() {
            return Ok(brought);
        }
        Err(format!(
            "the gateway goes by the plan, but not the steps: {}",
            refusals.join("; ")
        ))
    }

    /// Whose steps a plan says, with those steps.
    fn rollouts(&self, plan: &Plan) -> Vec<(ExtractionName, RolloutHandle, Schedule)> {
        let handles = self.reloading.rollouts.lock();
        let handles = handles.unwrap_or_else(PoisonError::into_inner);
        let with_steps = handles.iter().filter_map(|(name, handle)| {
            let schedule = plan.extractions.get(name)?.schedule.clone()?;
            Some((name.clone(), handle.clone(), schedule))
        });
        with_steps.collect()
    }

    /// Who takes other steps from here on.
    pub(super) fn roll_out(&self, rollouts: &BTreeMap<ExtractionName, RolloutHandle>) {
        let handles = self.reloading.rollouts.lock();
        *handles.unwrap_or_else(PoisonError::into_inner) = rollouts.clone();
    }
}

#[async_trait]
impl Gateways for LocalGateway {
    fn live(&self) -> BTreeSet<GatewayId> {
        // It lives as long as this process, and so does the conductor.
        let mut live = BTreeSet::from([self.gateway.id()]);
        if self.has_predecessor() {
            live.insert(self.predecessor);
        }
        live
    }

    fn predecessors(&self) -> Vec<Predecessor> {
        self.earlier()
    }

    fn publish(&self, routing: Routing) {
        self.gateway.publish(&routing);
    }

    fn renew_lease(&self, lease: Duration) {
        self.gateway.renew_lease(Instant::now() + lease);
    }

    async fn held(&self, gateway: GatewayId, extraction: &ExtractionName, epoch: Epoch) {
        if gateway == self.gateway.id() {
            self.gateway.drained(extraction, epoch).await;
        } else if gateway == self.predecessor {
            // It never hears of a hold: it has drained once it is gone.
            let mut is_gone = self.is_gone.subscribe();
            let _ = is_gone.wait_for(|is_gone| *is_gone).await;
        }
        // Any other is of an earlier process: its lease has ended with it.
    }

    async fn in_flight(&self, gateway: GatewayId, extraction: &ExtractionName) -> Option<InFlight> {
        if gateway != self.gateway.id() {
            // What the process that this one takes over from still has is not known.
            return None;
        }
        let found = self.gateway.writes_in_flight(extraction).await;
        let route = found.longest?;
        Some(InFlight {
            count: found.count,
            longest: found.longest_for,
            route: Some(route).filter(|route| !route.is_empty()),
        })
    }

    async fn take_side_counts(&self, extraction: &ExtractionName) -> Option<SideCounts> {
        let counts = self.gateway.take_side_counts(extraction).await?;
        Some(SideCounts {
            monolith: answer_counts(&counts.monolith),
            service: answer_counts(&counts.service),
        })
    }

    fn shadow_counts(&self, extraction: &ExtractionName) -> Option<ShadowCounts> {
        let report = self.gateway.shadow(extraction);
        report.share.as_ref()?;
        Some(ShadowCounts {
            compared: report.compared,
            differing: report.reads.different + report.reads.unanswered,
        })
    }

    fn brown_out(&self, extraction: &ExtractionName, notice: Option<BrownOutNotice>) {
        let seconds = |at: UnixMillis| u64::try_from(at.0 / 1000).unwrap_or(0);
        let brown_out = notice.map(|notice| {
            let removal = Removal {
                deprecated: seconds(notice.deprecated),
                sunset: seconds(notice.sunset),
            };
            (removal, notice.left)
        });
        self.gateway.brown_out(extraction, brown_out);
    }

    fn take_old_callers(&self, extraction: &ExtractionName) -> Vec<OldCaller> {
        let taken = self.gateway.take_old_callers(extraction).into_iter();
        let caller = |(caller, calls): (gateway::OldCaller, gateway::OldCalls)| OldCaller {
            route: caller.route,
            agent: caller.agent,
            requests: calls.requests,
            refused: calls.refused,
        };
        taken.map(caller).collect()
    }

    async fn hold_report(&self, extraction: &ExtractionName) -> HoldReport {
        let until = Instant::now() + RELEASE;
        let mut report = self.gateway.held(extraction);
        while report.now > 0 && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            report = self.gateway.held(extraction);
        }
        HoldReport {
            held_requests: report.released,
            hold_ms_max: milliseconds(report.hold_ms_max),
            hold_ms_p50: milliseconds(report.hold_ms_p50),
            hold_ms_p99: milliseconds(report.hold_ms_p99),
        }
    }
}

fn answer_counts(counts: &gateway::AnswerCounts) -> AnswerCounts {
    let cell = |cell: &gateway::ClientCell| CellCounts {
        requests: cell.requests,
        errors: cell.errors,
        bins: cell.bins.clone(),
    };
    let cells = |cells: &gateway::ClientCells| cells.all().iter().map(cell).collect();
    AnswerCounts {
        reads: cells(&counts.reads),
        writes: cells(&counts.writes),
    }
}

#[async_trait]
impl ShiftGuard for LocalGateway {
    async fn refusal(&self, extraction: &ExtractionName) -> Option<String> {
        if let Some(route) = self.writing_reads(extraction).first() {
            return Some(format!(
                "some reads write at the service: {} {}. Give the route `as: writes` and \
                 `banyan reload`",
                route.method, route.path
            ));
        }
        let problem = self.service_problem(extraction).await?;
        Some(format!("the service is not healthy: {problem}"))
    }
}

#[async_trait]
impl Routes for LocalGateway {
    fn has_old_ways(&self, extraction: &ExtractionName) -> bool {
        let plan = self.reloading.current.get();
        let mut routes = plan.gateway.routes.iter();
        let testers = plan.extractions.get(extraction);
        let may_choose = testers.is_some_and(|one| one.force.is_some());
        may_choose || routes.any(|route| route.retires_with.as_ref() == Some(extraction))
    }

    fn health(&self, extraction: &ExtractionName) -> Option<HealthStatus> {
        let plan = self.reloading.current.get();
        let service = plan.service_of(plan.extractions.get(extraction)?);
        let mut reports = self.gateway.upstreams().into_iter();
        // The monolith comes first; no service bears its name.
        let monolith = side_health::of(&reports.next()?, plan.monolith.health.is_some());
        let name = plan.extractions.get(extraction)?.service.to_string();
        let report = reports.find(|report| report.name == name)?;
        Some(HealthStatus {
            monolith,
            service: side_health::of(&report, service.health.is_some()),
        })
    }

    fn keys(&self, extraction: &ExtractionName) -> Option<KeyStatus> {
        let plan = self.reloading.current.get();
        let key = &plan.extractions.get(extraction)?.cohort_key;
        let (with, without) = self.gateway.keys(extraction);
        Some(KeyStatus {
            key: (*key != CohortKey::None).then(|| key.to_string()),
            with,
            without,
        })
    }

    fn shadow_percent(&self, extraction: &ExtractionName) -> Option<f64> {
        let plan = self.reloading.current.get();
        let shadow = plan.extractions.get(extraction)?.shadow.as_ref()?;
        Some(shadow.share.percent())
    }

    fn refusals(&self, extraction: &ExtractionName) -> Vec<RefusalStatus> {
        Self::refusals(self, extraction)
    }

    fn writing_reads(&self, extraction: &ExtractionName) -> Vec<FailedRoute> {
        Self::writing_reads(self, extraction)
    }

    fn waive_writing_reads(&self, extraction: &ExtractionName) -> Vec<FailedRoute> {
        self.refusals.waive(extraction)
    }

    async fn service_problem(&self, extraction: &ExtractionName) -> Option<String> {
        let plan = self.reloading.current.get();
        let service = plan.service_of(plan.extractions.get(extraction)?);
        let fall = service.health.as_ref().map(|health| health.fall);
        let tries = fall.unwrap_or(HEALTH_TRIES).clamp(1, HEALTH_TRIES_MAX);
        let mut count = 1;
        loop {
            let asked = gateway::check_health(service, &plan.gateway.host_addresses).await;
            let problem = asked.err()?;
            if count == tries {
                return Some(format!("{problem} (asked {tries} times)"));
            }
            count += 1;
            sleep(HEALTH_PAUSE).await;
        }
    }

    fn plan_digest(&self) -> Arc<str> {
        self.digest()
    }

    fn people(&self) -> Arc<People> {
        Arc::clone(&self.reloading.current.get().control.people)
    }

    fn routes(&self) -> serde_json::Value {
        serde_json::json!(self.gateway.routes())
    }

    fn predecessors(&self) -> Vec<Predecessor> {
        self.earlier()
    }

    fn shadow(&self, extraction: &ExtractionName) -> serde_json::Value {
        let mut report = self.gateway.shadow(extraction);
        let plan = self.reloading.current.get();
        let planned = plan.extractions.get(extraction);
        let planned = planned.and_then(|one| one.shadow.as_ref());
        let declared = planned.into_iter().flat_map(|shadow| &shadow.ignore);
        report.declared = declared
            .map(|one| Declaration {
                place: one.place.to_string(),
                by: one.by.clone(),
                because: one.because.clone(),
            })
            .collect();
        let failed = self.refusals.of(extraction).into_iter();
        let reads = failed.flat_map(|one| one.failed).filter(|one| one.is_read);
        for read in reads {
            let route = format!("{} {}", read.method, read.path);
            *report.read_writes.entry(route).or_default() += read.answers;
        }
        serde_json::json!(report)
    }

    fn grafana(&self) -> Option<Arc<str>> {
        self.reloading.current.get().control.grafana.clone()
    }

    fn flags(&self) -> serde_json::Value {
        serde_json::json!(self.gateway.flags())
    }

    fn explain(&self, question: &ExplainRequest) -> Result<serde_json::Value, String> {
        let from = question.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut request = Request::builder()
            .method(question.method.as_str())
            .uri(question.url.as_str());
        for (name, value) in &question.headers {
            request = request.header(name, value);
        }
        let mut request = request
            .body(Bytes::from(question.data.clone()))
            .map_err(|error| format!("that is no request: {error}"))?;
        let host = request
            .uri()
            .authority()
            .map(|host| host.as_str().to_owned());
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        if let (Entry::Vacant(missing), Ok(host)) =
            (request.headers_mut().entry(header::HOST), host.parse())
        {
            missing.insert(host);
        }
        let explanation = self.gateway.explain(request, from)?;
        Ok(serde_json::json!(explanation))
    }

    async fn reload(&self) -> Result<ReloadReply, String> {
        Self::reload(self).await
    }
}

#[expect(clippy::cast_precision_loss, reason = "no hold lasts 2^53 ms")]
fn milliseconds(count: u64) -> f64 {
    count as f64
}
