//! Pages of a large tree: what is in them, and that nobody waits for whoever reads them.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use switchyard_actors::supervision::{
    Branch, BranchSpec, ChildPath, ChildRef, NodeState, Page, PageQuery, Phase, Refusal, Tree,
};

use crate::{
    bench::{World, pass, run, secs, settle},
    puppet::{Add, Do, Poison, Puppet, Rope, puppet},
};

fn path(text: &str) -> ChildPath {
    ChildPath::parse(text).unwrap()
}

fn query(prefix: &str, state: Option<NodeState>, limit: usize) -> PageQuery {
    PageQuery { prefix: path(prefix), state, limit: NonZeroUsize::new(limit).unwrap(), after: None }
}

/// All pages of a query, one after the other.
fn pages(tree: &Tree, mut query: PageQuery) -> Vec<Page> {
    let mut pages = Vec::new();
    loop {
        let page = tree.page(&query);
        query.after.clone_from(&page.next);
        pages.push(page);
        if query.after.is_none() {
            return pages;
        }
    }
}

fn paths(pages: &[Page]) -> Vec<String> {
    pages.iter().flat_map(|page| &page.items).map(|view| view.path.to_string()).collect()
}

fn fill(branch: &Branch, count: usize) -> Vec<ChildRef<Puppet>> {
    let rope = Rope::default();
    (0..count).map(|n| branch.add(puppet(&format!("{n:06}"), &rope)).unwrap()).collect()
}

/// 100,000 pairs beside a branch whose name begins alike, and one before and one after both.
async fn large() -> (World, Vec<ChildRef<Puppet>>) {
    let world = World::new();
    let branch = |name: &str| world.runtime.root().add_branch(BranchSpec::dynamic(name)).unwrap();
    let pairs = fill(&branch("pairs"), 100_000);
    for name in ["pairs-old", "a", "sessions"] {
        fill(&branch(name), 10);
    }
    world.runtime.start().await;
    settle().await;
    (world, pairs)
}

#[test]
fn s39_a_page_of_a_hundred_thousand_children_by_prefix() {
    run(async {
        let (world, _pairs) = large().await;
        let tree = world.runtime.tree();
        assert_eq!(tree.counts()[&NodeState::Running], 100_035, "the root, four branches, their children");
        let first = tree.page(&query("pairs", None, 200));
        assert_eq!((first.items.len(), first.items[0].path.as_str()), (200, "pairs"));
        assert_eq!(first.items[0].children.as_ref().unwrap()[&NodeState::Running], 100_000);
        assert_eq!((first.items[1].path.as_str(), first.items[1].kind.as_str()), ("pairs/000000", "puppet"));
        assert_eq!(first.next, Some(path("pairs/000198")));
        let all = pages(&tree, query("pairs", None, 1_000));
        assert_eq!((all.len(), all[100].items.len()), (101, 1), "the last page ends the list");
        let all = paths(&all);
        assert!(all.len() == 100_001 && all.is_sorted() && all.iter().all(|path| !path.contains("old")));
        let everything = pages(&tree, query("root", None, 20_000));
        assert_eq!(everything[0].items[0].path.as_str(), "root", "the root stands before everything else");
        let everything = paths(&everything);
        assert!(everything.len() == 100_035 && everything[1..].is_sorted());
        assert_eq!(everything[1], "a");
        // After a child that is gone, and after one that never was.
        let after =
            |after: &str| tree.page(&PageQuery { after: Some(path(after)), ..query("pairs", None, 1) });
        assert_eq!(after("pairs/050000x").items[0].path.as_str(), "pairs/050001");
        assert_eq!(after("pairs").items[0].path.as_str(), "pairs/000000");
        assert_eq!(after("pairs/099999"), Page { items: Vec::new(), next: None });
        assert_eq!(tree.page(&query("nobody", None, 5)), Page { items: Vec::new(), next: None });
    });
}

#[test]
fn s39_a_page_of_a_hundred_thousand_children_by_state() {
    run(async {
        let (world, pairs) = large().await;
        let tree = world.runtime.tree();
        let in_state = |state, limit| tree.page(&query("root", Some(state), limit));
        assert!(in_state(NodeState::Parked, 5).items.is_empty());
        for n in [7, 50_000, 99_999] {
            pairs[n].tell(Poison).unwrap();
        }
        pairs[60_000].tell(Do::it(|_, cx| cx.park("somebody has to look"))).unwrap();
        settle().await;
        let counts = tree.counts();
        assert_eq!((counts[&NodeState::Backoff], counts[&NodeState::Parked]), (3, 1));
        let parked = in_state(NodeState::Parked, 5);
        assert_eq!(
            (paths(std::slice::from_ref(&parked)), parked.next),
            (vec!["pairs/060000".to_owned()], None)
        );
        assert_eq!(parked.items[0].reason.as_deref(), Some("somebody has to look"));
        let waiting = pages(&tree, query("pairs", Some(NodeState::Backoff), 1));
        assert_eq!(paths(&waiting), ["pairs/000007", "pairs/050000", "pairs/099999"]);
        for view in waiting.iter().flat_map(|page| &page.items) {
            let last = view.last_failure.as_ref().unwrap();
            assert_eq!((last.failure.phase, view.restarts_in_window, view.epoch), (Phase::Handler, 1, 1));
            assert_eq!(view.next_attempt, Some(last.at + chrono::TimeDelta::seconds(1)));
        }
        assert!(tree.page(&query("sessions", Some(NodeState::Backoff), 5)).items.is_empty());
        pass(secs(1)).await;
        assert!(in_state(NodeState::Backoff, 5).items.is_empty(), "they are up again");
        let running: usize = pages(&tree, query("root", Some(NodeState::Running), 10_000))
            .iter()
            .map(|page| page.items.len())
            .sum();
        assert_eq!((running, tree.counts()[&NodeState::Running]), (100_034, 100_034));
    });
}

#[test]
fn s39_messages_flow_while_pages_are_read() {
    run(async {
        let (world, pairs) = large().await;
        let (tree, done, read) =
            (world.runtime.tree(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let reader = {
            let (done, read) = (Arc::clone(&done), Arc::clone(&read));
            std::thread::spawn(move || {
                while !done.load(Ordering::Acquire) {
                    let all = tree.page(&query("root", None, 1_000));
                    assert_eq!(all.items.len(), 1_000);
                    assert!(tree.page(&query("pairs", Some(NodeState::Parked), 5)).items.is_empty());
                    assert_eq!(tree.mailboxes().len(), 2);
                    read.fetch_add(1, Ordering::AcqRel);
                }
            })
        };
        let (mut asked, mut sum) = (0_usize, 0);
        // Both go on beside each other until each has come far enough.
        while asked < 20_000 || read.load(Ordering::Acquire) < 3 {
            sum += pairs[asked % pairs.len()].ask(Add(1)).await.unwrap().0;
            asked += 1;
        }
        assert!(sum >= 20_000, "{sum}");
        // Children that come and go meanwhile.
        let branch = world.runtime.root().add_branch(BranchSpec::dynamic("late")).unwrap();
        settle().await;
        for round in 0..20 {
            let child = branch.add(puppet("one", &Rope::default())).unwrap();
            settle().await;
            assert_eq!(child.ask(Add(round)).await.unwrap().0, round);
            branch.remove("one").await;
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
}

#[test]
fn totals_count_what_happened_by_kind() {
    run(async {
        let rope = Rope::default();
        let (world, child) = World::with(puppet("a", &rope)).await;
        let tree = world.runtime.tree();
        let of = |kind: &str| tree.totals().into_iter().find(|totals| totals.kind == kind).unwrap();
        for _ in 0..6 {
            child.tell(Poison).unwrap();
        }
        pass(secs(60)).await;
        let refused = child.tell(Add(1)).is_err() && child.tell(Add(1)).is_err();
        let totals = of("puppet");
        assert!(refused && totals.states[&NodeState::Parked] == 1);
        assert_eq!(
            totals.refused,
            BTreeMap::from(Refusal::ALL.map(|why| (why, if why == Refusal::Parked { 2 } else { 0 })))
        );
        let history = totals.history;
        assert_eq!((history.starts, history.restarts, history.escalations), (6, 5, 0));
        assert_eq!(history.failures, BTreeMap::from([(Phase::Handler, 6)]));
        assert_eq!(history.parks.values().sum::<u64>(), 1);
        world.restart("a");
        settle().await;
        child
            .tell(Do::it(|puppet, cx| {
                puppet.sum = 1;
                cx.stop();
            }))
            .unwrap();
        rope.panic_in(&["stopped"]);
        settle().await;
        let history = of("puppet").history;
        assert_eq!(history.unparks.values().sum::<u64>(), 1);
        assert_eq!(history.contained, BTreeMap::from([(Phase::Stopped, 1)]), "not a failure of its own");
        assert_eq!(history.failures.values().sum::<u64>(), 6);
        assert_eq!(of("supervisor").states[&NodeState::Running], 1);
        world.runtime.drain(secs(1)).await;
        let history = of("puppet").history;
        assert_eq!((history.stops, history.unclean_stops), (1, 0));
        drop((world, child));
        assert_eq!(of("puppet").states.values().sum::<usize>(), 0, "nobody is left, what happened stays");
    });
}
