//! What a worker is answering at this moment, by route: from the head of a request to the
//! end of its answer, and of an upgraded connection to its end. A stop waits for it, says how
//! much there is, and names what it cuts off.

use crate::{base::index::Place, routing::table::Table};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt::{self, Write},
    rc::Rc,
};

/// Routes that a list names; the rest is counted.
const ROUTES_MAX: usize = 10;

/// What is being answered, of all or of one route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answering {
    /// Requests whose answer has not ended.
    pub requests: usize,
    /// Those that end when somebody wants it: upgraded connections, and answers of events.
    pub streams: usize,
}

impl Answering {
    /// Both together.
    pub fn all(self) -> usize {
        self.requests + self.streams
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.streams += other.streams;
    }
}

impl fmt::Display for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = |count| if count == 1 { "" } else { "s" };
        let Self { requests, streams } = *self;
        if requests > 0 || streams == 0 {
            write!(f, "{requests} request{}", many(requests))?;
        }
        if streams > 0 {
            let and = if requests > 0 { ", " } else { "" };
            write!(f, "{and}{streams} stream{}", many(streams))?;
        }
        Ok(())
    }
}

/// What a gateway is answering at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnderWay {
    routes: BTreeMap<String, Answering>,
}

impl UnderWay {
    /// All together.
    pub fn total(&self) -> Answering {
        let mut total = Answering::default();
        for route in self.routes.values() {
            total.add(*route);
        }
        total
    }

    /// What belongs to each route, those with the most of it first; not more than a line
    /// holds.
    pub fn by_route(&self) -> String {
        let mut routes: Vec<_> = self.routes.iter().collect();
        routes.sort_by_key(|(_, answering)| std::cmp::Reverse(answering.all()));
        let mut text = String::new();
        for (name, answering) in routes.iter().take(ROUTES_MAX) {
            let and = if text.is_empty() { "" } else { "; " };
            let _infallible = write!(text, "{and}{name}: {answering}");
        }
        if let Some(more) = routes
            .len()
            .checked_sub(ROUTES_MAX)
            .filter(|more| *more > 0)
        {
            let _infallible = write!(text, "; and {more} routes more");
        }
        text
    }

    /// Adds what another worker is answering.
    pub(crate) fn add(&mut self, other: Self) {
        for (name, answering) in other.routes {
            self.routes.entry(name).or_default().add(answering);
        }
    }
}

/// What is being answered of one route.
#[derive(Default)]
struct RouteTally {
    name: String,
    answering: Cell<Answering>,
}

/// What one worker is answering.
pub(crate) struct RouteTallies {
    /// Of requests that no route is known of.
    elsewhere: Rc<RouteTally>,
    routes: Vec<Rc<RouteTally>>,
    extractions: Vec<Vec<Rc<RouteTally>>>,
    /// Of plans before, those that something was under way of.
    former: Vec<Rc<RouteTally>>,
}

impl RouteTallies {
    pub(crate) fn new(table: &Table) -> Self {
        let tally = |name: String| {
            let answering = Cell::default();
            Rc::new(RouteTally { name, answering })
        };
        let of_extraction = |(_, entry): (_, &crate::routing::table::ExtractionEntry)| {
            let routes = entry.routes.iter();
            routes
                .map(|route| tally(format!("{} {}", entry.name, route.path)))
                .collect()
        };
        let of_route = |route: &plan::GatewayRoute| {
            let (name, path) = (&route.name, &route.route.path);
            tally(format!("{name} {path}"))
        };
        Self {
            elsewhere: tally("no route".to_owned()),
            routes: table.passthroughs().map(of_route).collect(),
            extractions: table.all().map(of_extraction).collect(),
            former: Vec::new(),
        }
    }

    /// Those of another plan. What began under this one is counted here to its end.
    pub(crate) fn after(&self, table: &Table) -> Self {
        let busy = self.all().filter(|tally| tally.answering.get().all() > 0);
        Self {
            former: busy.map(Rc::clone).collect(),
            ..Self::new(table)
        }
    }

    fn all(&self) -> impl Iterator<Item = &Rc<RouteTally>> {
        let now = self.routes.iter().chain(self.extractions.iter().flatten());
        let all = std::iter::once(&self.elsewhere).chain(now);
        all.chain(&self.former)
    }

    /// A request has come.
    pub(crate) fn begin(&self) -> TalliedRequest {
        let request = TalliedRequest {
            tally: RefCell::new(Rc::clone(&self.elsewhere)),
            is_stream: Cell::new(false),
        };
        request.count(usize::wrapping_add);
        request
    }

    /// It belongs there.
    pub(crate) fn at(&self, request: &TalliedRequest, place: Place) {
        let tally = match place {
            Place::Elsewhere => &self.elsewhere,
            Place::Route(found) => &self.routes[found.get()],
            Place::Extraction(found) => &self.extractions[found.extraction.get()][found.route],
        };
        request.change(|request| {
            request.tally.replace(Rc::clone(tally));
        });
    }

    /// What is being answered now.
    pub(crate) fn report(&self) -> UnderWay {
        let mut report = UnderWay::default();
        for tally in self.all() {
            let answering = tally.answering.get();
            if answering.all() > 0 {
                let routes = BTreeMap::from([(tally.name.clone(), answering)]);
                report.add(UnderWay { routes });
            }
        }
        report
    }
}

/// A request that is being answered, until it is dropped.
pub(crate) struct TalliedRequest {
    tally: RefCell<Rc<RouteTally>>,
    is_stream: Cell<bool>,
}

impl TalliedRequest {
    /// Its answer ends when somebody wants it.
    pub(crate) fn becomes_stream(&self) {
        self.change(|request| request.is_stream.set(true));
    }

    fn change(&self, change: impl FnOnce(&Self)) {
        self.count(usize::wrapping_sub);
        change(self);
        self.count(usize::wrapping_add);
    }

    fn count(&self, change: fn(usize, usize) -> usize) {
        let tally = self.tally.borrow();
        let mut answering = tally.answering.get();
        let count = if self.is_stream.get() {
            &mut answering.streams
        } else {
            &mut answering.requests
        };
        *count = change(*count, 1);
        tally.answering.set(answering);
    }
}

impl Drop for TalliedRequest {
    fn drop(&mut self) {
        self.count(usize::wrapping_sub);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under_way(routes: impl IntoIterator<Item = (String, usize, usize)>) -> UnderWay {
        let answering = |(name, requests, streams)| (name, Answering { requests, streams });
        UnderWay {
            routes: routes.into_iter().map(answering).collect(),
        }
    }

    #[test]
    fn a_list_of_routes_is_bounded_and_begins_with_the_busiest() {
        let few = under_way([("a /a".into(), 1, 0), ("b /b".into(), 2, 1)]);
        assert_eq!(
            few.by_route(),
            "b /b: 2 requests, 1 stream; a /a: 1 request"
        );
        let many = under_way((0..13).map(|at| (format!("r{at:02}"), 0, 1)));
        let text = many.by_route();
        assert!(text.starts_with("r00: 1 stream; r01"), "{text}");
        assert!(text.ends_with("r09: 1 stream; and 3 routes more"), "{text}");
        assert_eq!(many.total().streams, 13);
        assert_eq!(UnderWay::default().total().to_string(), "0 requests");
    }
}
