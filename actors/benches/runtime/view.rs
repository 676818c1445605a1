//! The view of a large tree: pages and counts, as operators ask for them.

use std::num::NonZeroUsize;

use switchyard_actors::supervision::{ChildPath, ChildRef, NodeState, PageQuery, Tree};

use super::{
    child::{Counter, counter},
    report::Report,
    scene::{Scene, micros_each, now},
};

/// Children on a page.
const PAGE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// Pages of one measurement, one after the other.
const PAGES: usize = 100;

/// Looks at the counts in one measurement.
const COUNTS: usize = 10_000;

/// `tree_prefix`: a page of 100 below a branch. `tree_state`: the same of those in one state. `tree_rare`: the one child
/// in another state among all. `tree_counts`: children by state.
pub(crate) async fn run(children: usize) -> Report {
    let scene = Scene::new().await;
    let all: Vec<ChildRef<Counter>> = scene
        .start(children, |branch| {
            (0..children).map(|number| branch.add(counter(number)).expect("a new child")).collect()
        })
        .await;
    let tree = scene.runtime.tree();
    let branch = ChildPath::parse("many").unwrap();
    let by_prefix = page_time(&tree, &branch, None);
    let by_state = page_time(&tree, &ChildPath::root(), Some(NodeState::Running));
    let rare = rare_time(&tree, all.get(children / 2).expect("some children")).await;
    let began = now();
    for _ in 0..COUNTS {
        let counts = tree.counts();
        assert_eq!(
            counts.get(&NodeState::Running),
            Some(&(children + 1)),
            "the root and the branch too, but for one"
        );
    }
    let counts = micros_each(began.elapsed(), COUNTS);
    drop(all);
    scene.end().await;
    Report::default()
        .with("tree_prefix", "us", by_prefix)
        .with("tree_state", "us", by_state)
        .with("tree_rare", "us", rare)
        .with("tree_counts", "us", counts)
}

async fn rare_time(tree: &Tree, child: &ChildRef<Counter>) -> f64 {
    tree.suspend(child.path()).expect("it runs");
    while child.status() != NodeState::Suspended {
        tokio::task::yield_now().await;
    }
    let query = PageQuery { state: Some(NodeState::Suspended), ..PageQuery::first(PAGE) };
    let began = now();
    for _ in 0..PAGES {
        assert_eq!(tree.page(&query).items.len(), 1);
    }
    micros_each(began.elapsed(), PAGES)
}

fn page_time(tree: &Tree, prefix: &ChildPath, state: Option<NodeState>) -> f64 {
    let mut query = PageQuery { prefix: prefix.clone(), state, ..PageQuery::first(PAGE) };
    let began = now();
    for _ in 0..PAGES {
        let page = tree.page(&query);
        assert_eq!(page.items.len(), PAGE.get());
        query.after = page.next;
    }
    micros_each(began.elapsed(), PAGES)
}
