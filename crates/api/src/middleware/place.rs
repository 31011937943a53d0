//! A place among the requests that are worked on, of which there is a bounded number.

use std::{cell::Cell, sync::Arc};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Semaphore;

use crate::problem::{Code, Problem};

/// All places.
pub(super) struct Places {
    free: Semaphore,
    in_flight: Gauge,
}

/// One place; given back when dropped: when the answer has been sent, or when the client has gone away.
pub(super) struct Admission(Arc<Places>);

/// The place of one request, taken or not yet, while the request is worked on.
pub(super) struct Place {
    places: Arc<Places>,
    awaits_body: bool,
    admission: Cell<Option<Admission>>,
}

tokio::task_local! {
    /// The place of the request that the current task works on.
    pub(super) static PLACE: Place;
}

/// Takes the place of the current request, whose body is now there. Before that, it is only awaited.
pub(crate) fn take_place() -> Result<(), Problem> {
    PLACE.with(|place| {
        place.admission.set(Some(place.places.admit()?));
        Ok(())
    })
}

impl Places {
    pub(super) fn new(count: usize, in_flight: Gauge) -> Arc<Self> {
        Arc::new(Self { free: Semaphore::new(count.min(Semaphore::MAX_PERMITS)), in_flight })
    }

    /// The place of a new request, which it takes at once, unless its body is awaited first or it needs none.
    pub(super) fn place(self: &Arc<Self>, needs_place: bool, has_body: bool) -> Result<Place, Problem> {
        let admission = (needs_place && !has_body).then(|| self.admit()).transpose()?;
        let awaits_body = needs_place && has_body;
        Ok(Place { places: Arc::clone(self), awaits_body, admission: Cell::new(admission) })
    }

    fn admit(self: &Arc<Self>) -> Result<Admission, Problem> {
        let permit = self.free.try_acquire().map_err(|_| {
            Problem::new(Code::Overloaded, "Too many requests are being worked on. Nothing was done.")
        })?;
        permit.forget();
        self.in_flight.inc();
        Ok(Admission(Arc::clone(self)))
    }
}

impl Place {
    /// Whether it is taken by [`take_place`].
    pub(super) fn awaits_body(&self) -> bool {
        self.awaits_body
    }

    pub(super) fn into_admission(self) -> Option<Admission> {
        self.admission.into_inner()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.in_flight.dec();
        self.0.free.add_permits(1);
    }
}
