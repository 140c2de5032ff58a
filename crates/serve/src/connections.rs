//! Open connections: what each of them is doing, how long it may go on so, and which of them makes room for another.
//!
//! A connection that has asked nothing yet makes room first, then the one that has asked nothing for longest. One whose request is
//! being answered never does. What is sent over a connection is not known here.

use std::collections::BTreeMap;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

use crate::config::Limits;

/// All connections of a server.
pub(crate) struct Connections {
    limit: usize,
    receive_timeout: Duration,
    idle_timeout: Duration,
    /// By the order in which they were opened, without those that were told to make room.
    open: Mutex<Open>,
    ended: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    activities: BTreeMap<u64, Arc<Activity>>,
}

/// A connection among the open ones. Dropping it says that it has ended.
pub(crate) struct Seat {
    connections: Arc<Connections>,
    number: u64,
    activity: Arc<Activity>,
}

/// What a connection is doing, and since when.
pub(crate) struct Activity {
    state: Mutex<(Phase, Instant)>,
    told_to_close: Notify,
    receive_timeout: Duration,
    idle_timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was asked yet, though a part of the first request's head may have come.
    Silent,
    /// A request is being read or answered.
    Busy,
    /// The reply is on its way.
    Replying,
    /// The reply is sent, and nothing more has come.
    Idle,
    /// A part of a later request's head has come.
    Asking,
}

impl Connections {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            limit: limits.max_connections.max(1),
            receive_timeout: limits.receive_timeout,
            idle_timeout: limits.idle_timeout,
            open: Mutex::default(),
            ended: Notify::new(),
        })
    }

    /// Adds a connection; waits while there is no room for it and nothing that can make room. Says how many were told to.
    pub(crate) async fn enter(self: &Arc<Self>) -> (Seat, u64) {
        let mut closed = 0;
        while self.open().activities.len() >= self.limit {
            if self.close_one() {
                closed += 1;
            } else {
                self.ended.notified().await;
            }
        }
        let activity = Arc::new(Activity {
            state: Mutex::new((Phase::Silent, Instant::now())),
            told_to_close: Notify::new(),
            receive_timeout: self.receive_timeout,
            idle_timeout: self.idle_timeout,
        });
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.activities.insert(number, Arc::clone(&activity));
        (Seat { connections: Arc::clone(self), number, activity }, closed)
    }

    /// Tells the connection to end that can best be missed; false when there is none.
    pub(crate) fn close_one(&self) -> bool {
        let mut open = self.open();
        let silent = open.activities.iter().find(|(_, one)| one.state().0 == Phase::Silent);
        let found = silent.map(|(number, _)| *number).or_else(|| {
            let states = open.activities.iter().map(|(number, one)| (one.state(), *number));
            let idle = states.filter(|((phase, _), _)| *phase == Phase::Idle);
            idle.min_by_key(|((_, since), _)| *since).map(|(_, number)| number)
        });
        let closed = found.and_then(|number| open.activities.remove(&number));
        if let Some(activity) = &closed {
            activity.told_to_close.notify_one();
        }
        closed.is_some()
    }

    /// Waits until a connection has ended.
    pub(crate) async fn one_ended(&self) {
        self.ended.notified().await;
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Whoever held it before has failed, but no step leaves the map half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// What the connection says of itself.
    pub(crate) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    /// Runs the connection until it ends, has been in one phase for too long, or has to make room.
    pub(crate) async fn run(self, connection: impl Future<Output = ()>) {
        let mut connection = pin!(connection);
        let mut told = pin!(self.activity.told_to_close.notified());
        let mut overdue = pin!(sleep_until(Instant::now() + self.activity.receive_timeout));
        std::future::poll_fn(|context| {
            if connection.as_mut().poll(context).is_ready()
                || told.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(());
            }
            // Only polling the connection changes its phase, so that the deadline is always known here.
            let Some(deadline) = self.activity.deadline() else { return Poll::Pending };
            if overdue.deadline() != deadline {
                overdue.as_mut().reset(deadline);
            }
            overdue.as_mut().poll(context)
        })
        .await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.open().activities.remove(&self.number);
        self.connections.ended.notify_one();
    }
}

impl Activity {
    /// A whole head has come.
    pub(crate) fn asked(&self) {
        self.enter(Phase::Busy);
    }

    /// The reply is ready to be sent.
    pub(crate) fn answered(&self) {
        self.enter(Phase::Replying);
    }

    fn received(&self) {
        if self.state().0 == Phase::Idle {
            self.enter(Phase::Asking);
        }
    }

    fn flushed(&self) {
        if self.state().0 == Phase::Replying {
            self.enter(Phase::Idle);
        }
    }

    fn enter(&self, phase: Phase) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
    }

    fn state(&self) -> (Phase, Instant) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the connection has been in its phase for too long.
    fn deadline(&self) -> Option<Instant> {
        let (phase, since) = self.state();
        match phase {
            Phase::Silent | Phase::Asking => Some(since + self.receive_timeout),
            Phase::Replying | Phase::Idle => Some(since + self.idle_timeout),
            // A request has its own time limits.
            Phase::Busy => None,
        }
    }
}

/// A stream that says of each piece that it has come, and of all pieces that they are sent.
pub(crate) struct Noticed<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Noticed<S> {
    pub(crate) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noticed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.activity.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noticed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.activity.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seats(limit: usize, count: usize) -> (Arc<Connections>, Vec<Seat>) {
        let limits = Limits { max_connections: limit, ..Limits::default() };
        let connections = Connections::new(&limits);
        let mut seats = Vec::new();
        for _ in 0..count {
            seats.push(connections.enter().await.0);
        }
        (connections, seats)
    }

    /// Which of the connections are still open.
    fn open(connections: &Connections) -> Vec<u64> {
        connections.open().activities.keys().copied().collect()
    }

    #[tokio::test]
    async fn a_silent_connection_makes_room_first_then_the_one_that_was_idle_for_longest() {
        let (connections, seats) = seats(4, 4).await;
        for (seat, num_steps) in seats.iter().zip([3, 1, 3, 0]) {
            let activity = seat.activity();
            for step in
                [Activity::asked, Activity::answered, Activity::flushed].iter().take(num_steps)
            {
                step(&activity);
            }
        }
        let mut entered = Vec::new();
        for expected in [[0, 1, 2, 4], [0, 1, 2, 5]] {
            let (seat, closed) = connections.enter().await;
            assert_eq!((open(&connections), closed), (expected.to_vec(), 1));
            entered.push(seat);
        }
        entered[1].activity().asked();
        assert!(connections.close_one() && open(&connections) == [1, 2, 5]);
        assert!(connections.close_one() && open(&connections) == [1, 5]);
        assert!(!connections.close_one(), "a request is never cut off");
    }

    #[tokio::test]
    async fn where_nothing_can_make_room_a_connection_waits_for_an_end() {
        let (connections, mut seats) = seats(2, 2).await;
        for seat in &seats {
            seat.activity().asked();
        }
        let mut entering = pin!(connections.enter());
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(entering.as_mut().poll(&mut context).is_pending());
        drop(seats.pop());
        let (_, closed) = entering.await;
        assert_eq!(closed, 0);
    }

    #[tokio::test]
    async fn each_phase_has_its_own_time() {
        let (connections, seats) = seats(1, 1).await;
        let activity = seats[0].activity();
        let allowed = || {
            let (_, since) = activity.state();
            activity.deadline().map(|deadline| deadline - since)
        };
        let (receive, idle) = (Some(connections.receive_timeout), Some(connections.idle_timeout));
        assert_ne!(receive, idle);
        assert_eq!(allowed(), receive);
        activity.received();
        assert_eq!(activity.state().0, Phase::Silent);
        activity.asked();
        assert_eq!(allowed(), None);
        activity.received();
        assert_eq!(allowed(), None);
        activity.flushed();
        assert_eq!(allowed(), None);
        activity.answered();
        assert_eq!(allowed(), idle);
        activity.flushed();
        assert_eq!((allowed(), activity.state().0), (idle, Phase::Idle));
        activity.received();
        assert_eq!(allowed(), receive);
    }
}
