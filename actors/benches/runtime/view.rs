//! The view of a large tree: pages and counts, as operators ask for them.

use switchyard_actors::supervision::{ChildPath, ChildRef, NodeState, NodeView, Tree};

use super::{
    child::{Counter, counter},
    report::Report,
    scene::{Scene, micros_each, now},
};

/// Children on a page.
const PAGE: usize = 100;

/// Pages of one measurement.
const PAGES: usize = 20;

/// Looks at the counts in one measurement.
const COUNTS: usize = 10_000;

/// `tree_prefix`, `tree_state`: a page of 100 below a branch, and of those in one state. `tree_counts`: children by state.
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
    let began = now();
    for _ in 0..COUNTS {
        let counts = tree.counts();
        assert_eq!(counts.get(&NodeState::Running), Some(&(children + 2)), "the root and the branch too");
    }
    let counts = micros_each(began.elapsed(), COUNTS);
    drop(all);
    scene.end().await;
    Report::default().with("tree_prefix", "us", by_prefix).with("tree_state", "us", by_state).with(
        "tree_counts",
        "us",
        counts,
    )
}

fn page_time(tree: &Tree, prefix: &ChildPath, state: Option<NodeState>) -> f64 {
    let began = now();
    for _ in 0..PAGES {
        assert_eq!(page(tree, prefix, state).len(), PAGE);
    }
    micros_each(began.elapsed(), PAGES)
}

/// The first page.
fn page(tree: &Tree, prefix: &ChildPath, state: Option<NodeState>) -> Vec<NodeView> {
    let wanted = |view: &NodeView| state.is_none_or(|state| view.state == state);
    tree.snapshot(prefix).into_iter().filter(wanted).take(PAGE).collect()
}
