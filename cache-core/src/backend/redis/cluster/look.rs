//! Reads the map again and again: when somebody was redirected, while a master is gone, and every now and then. Refuses to
//! wait for a node that is silent while others answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::cmd;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::super::error::Refusal;
use super::super::link::Step;
use super::super::node::FirstAttempt;
use super::super::open::text;
use super::map::Map;
use super::routes::{Member, Routes};
use super::view::View;
use super::{Shared, lock, seed};

/// How often the map is read when nothing happens: slots may have moved that nobody asked for.
const EVERY: Duration = Duration::from_secs(5);
/// How often while a master is gone: its replica is about to take its place.
const WHILE_GONE: Duration = Duration::from_millis(100);
/// At least this lies between two looks, however many commands are redirected.
const PAUSE: Duration = Duration::from_millis(2);
/// So many nodes are asked at once.
const ASKED: usize = 5;
/// How long one node may take to answer, and how long the others may take once one has.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same for a node of the URL that is yet to be reached; name resolution and a distant server included.
const SEED_PATIENCE: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_millis(20);
/// How long the first look waits for the masters that it found.
const FIRST_ATTEMPTS: Duration = Duration::from_millis(200);

/// Takes the map away when the task ends, however it ends.
struct Presence<'a>(&'a Shared);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.set_routes(Err("its connections have ended with the runtime they were made on".into()));
    }
}

/// Runs until it is aborted. Tells once how the first look went.
pub(super) async fn forever(shared: Arc<Shared>, first: oneshot::Sender<Result<(), Refusal>>) {
    let _presence = Presence(&shared);
    let mut first = Some(first);
    let mut is_lost = false;
    loop {
        let number = shared.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let outcome = match shared.look().await {
            Ok(views) => Ok(shared.install(&views).await),
            Err(refusal) => Err(refusal),
        };
        shared.done.send_replace(number);
        shared.see_guests_off();
        let name = &shared.name;
        match &outcome {
            Ok(_) if std::mem::take(&mut is_lost) => {
                tracing::info!(store = %name, "a node of the cluster answers again")
            }
            Err(refusal) if !std::mem::replace(&mut is_lost, true) => {
                tracing::warn!(store = %name, why = refusal.text(), "no node of the cluster tells who serves what; it is tried again in the background");
            }
            _ => {}
        }
        let pause = if is_lost || shared.misses_somebody() { WHILE_GONE } else { EVERY };
        if let Some(first) = first.take() {
            // Nobody listens any more when the first look takes long.
            let _ = first.send(match outcome {
                Ok(attempts) => attempted(attempts).await,
                Err(refusal) => Err(refusal),
            });
        }
        sleep(PAUSE).await;
        let _ = timeout(pause, shared.wanted.notified()).await;
    }
}

/// What the first attempts to connect say about the access; a master that is away is no reason to refuse.
async fn attempted(attempts: Vec<FirstAttempt>) -> Result<(), Refusal> {
    let deadline = Instant::now() + FIRST_ATTEMPTS;
    for attempt in attempts {
        if let Ok(Ok(Err(refusal @ Refusal::Unusable(_)))) = timeout_at(deadline, attempt).await {
            return Err(refusal);
        }
    }
    Ok(())
}

impl Shared {
    fn misses_somebody(&self) -> bool {
        self.routes().is_ok_and(|routes| routes.members.iter().any(|member| member.node.is_down()))
    }

    /// What some nodes tell: those whose answers made somebody look, other masters, and without any of them the seeds.
    async fn look(&self) -> Result<Vec<View>, Refusal> {
        let mut members = std::mem::take(&mut *lock(&self.hints));
        if let Ok(routes) = self.routes() {
            let turn = usize::try_from(self.begun.load(Ordering::Relaxed)).unwrap_or_default();
            let count = routes.members.len();
            members.extend((0..count).map(|at| routes.members[(turn + at) % count].clone()));
        }
        members.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let mut asking = JoinSet::new();
        for member in members.into_iter().take(ASKED) {
            asking.spawn(async move { timeout(PATIENCE, tell(&member)).await.ok().flatten() });
        }
        let views: Vec<_> = gather(asking, Option::is_some).await.into_iter().flatten().collect();
        if !views.is_empty() {
            return Ok(views);
        }
        let mut asking = JoinSet::new();
        for seed in self.seeds.clone() {
            let (access, dialer) = (self.access.clone(), self.dialer.clone());
            let silent = Refusal::Away(format!("{seed} does not answer"));
            asking.spawn(async move {
                timeout(SEED_PATIENCE, seed::ask(&seed, &dialer, &access)).await.unwrap_or(Err(silent))
            });
        }
        let (views, refusals): (Vec<_>, Vec<_>) =
            gather(asking, Result::is_ok).await.into_iter().partition(Result::is_ok);
        if views.is_empty() {
            // What somebody has to change goes before what may pass.
            let mut refusals: Vec<_> = refusals.into_iter().filter_map(Result::err).collect();
            refusals.sort_by_key(|refusal| matches!(refusal, Refusal::Away(_)));
            let silent = || Refusal::Away("none of the nodes that the URL names answers".into());
            return Err(refusals.into_iter().next().unwrap_or_else(silent));
        }
        Ok(views.into_iter().filter_map(Result::ok).collect())
    }

    /// Goes by what was told from now on.
    async fn install(&self, views: &[View]) -> Vec<FirstAttempt> {
        let before = self.routes().ok();
        let in_use: Vec<_> =
            before.iter().flat_map(|routes| &routes.members).map(|member| member.master.clone()).collect();
        let mut attempts = Vec::new();
        let routes = Routes::new(Map::merge(views, &in_use), before.as_deref(), |endpoint| {
            self.guest_at(endpoint).unwrap_or_else(|| {
                let (node, first) = self.connect(endpoint);
                attempts.push(first);
                node
            })
        });
        if let Some(before) = before {
            if routes.is_same(&before) {
                return attempts;
            }
            routes.verify_gains(&before, &*self.clock).await;
        }
        self.set_routes(Ok(Arc::new(routes)));
        attempts
    }
}

/// All answers, but none that comes long after the first that is of use.
async fn gather<T: 'static>(mut asking: JoinSet<T>, is_of_use: impl Fn(&T) -> bool) -> Vec<T> {
    let mut answers = Vec::new();
    let mut deadline = None;
    while let Some(next) = match deadline {
        None => asking.join_next().await,
        Some(deadline) => timeout_at(deadline, asking.join_next()).await.ok().flatten(),
    } {
        let Ok(answer) = next else { continue };
        if is_of_use(&answer) {
            deadline.get_or_insert_with(|| Instant::now() + GRACE);
        }
        answers.push(answer);
    }
    answers
}

async fn tell(member: &Member) -> Option<View> {
    let link = member.node.link().ok()?;
    let ask = |what: &str| {
        let mut cmd = cmd("CLUSTER");
        cmd.arg(what);
        Step::Read(cmd)
    };
    let replies = link.send_all(&[ask("NODES"), ask("SLOTS")]).await.ok()?;
    let [nodes, slots] = replies.as_slice() else { return None };
    View::read(text(nodes).ok()?, slots, &member.master.endpoint).ok()
}
