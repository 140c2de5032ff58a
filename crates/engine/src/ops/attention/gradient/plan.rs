//! In which pieces gradients go back through a layout: tiles of keys, tiles of queries, and which of them meet.
//!
//! A tile of keys never reaches over the beginning of a run of keys, so on every path that has it, it stands whole or
//! cut at its end. Segments that share no keys are in different components, whose gradients do not touch.

use super::QUERY_TILE;
use crate::ops::attention::layout::{AttentionLayout, KEY_BLOCK};
use std::ops::Range;

/// The pieces of a layout.
#[derive(Clone, Debug)]
pub(in crate::ops::attention) struct Plan {
    pub(super) components: Vec<Component>,
    /// Rows of the key/value matrix that some segment has on its path.
    pub(super) num_keys: usize,
}

/// Segments that share keys, directly or through others.
#[derive(Clone, Debug, Default)]
pub(super) struct Component {
    /// Rows of the key/value matrix; disjoint.
    pub(super) key_tiles: Vec<Range<usize>>,
    pub(super) query_tiles: Vec<QueryTile>,
}

/// Some queries of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueryTile {
    pub(super) queries: Range<usize>,
    /// Index into `AttentionLayout::segments`.
    pub(super) segment: usize,
    /// Along the path.
    pub(super) seen: Vec<SeenTile>,
}

/// The part of a tile of keys that some query of a tile sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeenTile {
    /// Index into `Component::key_tiles`.
    pub(super) tile: usize,
    /// Place of its first key on the path.
    pub(super) first_key: usize,
    /// How many of its keys are seen by the query that sees most.
    pub(super) len: usize,
}

impl Plan {
    /// # Panics
    /// If two segments have the same query: several threads write their gradients.
    pub(in crate::ops::attention) fn new(layout: &AttentionLayout) -> Self {
        let mut queries: Vec<_> = layout.segments.iter().map(|part| part.queries.clone()).collect();
        queries.sort_unstable_by_key(|queries| queries.start);
        let apart = queries.windows(2).all(|pair| pair[0].end <= pair[1].start);
        assert!(apart, "a query is in two segments");

        let paths: Vec<Vec<Range<usize>>> =
            layout.segments.iter().map(|segment| layout.path(segment)).collect();
        let tiles = cut_tiles(&paths);
        let places: Vec<Vec<SeenTile>> =
            paths.iter().map(|path| tiles_of_path(path, &tiles)).collect();
        let component_of_tile = connect(tiles.len(), &places);

        let num_components = component_of_tile.iter().max().map_or(0, |last| last + 1);
        let mut components = vec![Component::default(); num_components];
        let mut place_in_component = Vec::with_capacity(tiles.len());
        for (tile, &component) in tiles.iter().zip(&component_of_tile) {
            let key_tiles = &mut components[component].key_tiles;
            place_in_component.push(key_tiles.len());
            key_tiles.push(tile.clone());
        }
        for (segment, places) in places.iter().enumerate() {
            let Some(first) = places.first() else { continue };
            let component = &mut components[component_of_tile[first.tile]];
            let queries = layout.segments[segment].queries.clone();
            for start in queries.clone().step_by(QUERY_TILE) {
                let queries = start..queries.end.min(start + QUERY_TILE);
                let visible = layout.segments[segment].visible_keys(queries.end - 1);
                let seen = places.iter().filter(|place| place.first_key < visible).map(|place| {
                    let len = place.len.min(visible - place.first_key);
                    SeenTile { tile: place_in_component[place.tile], len, ..*place }
                });
                component.query_tiles.push(QueryTile { queries, segment, seen: seen.collect() });
            }
        }
        Self { components, num_keys: tiles.iter().map(Range::len).sum() }
    }
}

/// Cuts the rows of all paths where a run begins, and into at most `KEY_BLOCK` rows; ascending.
fn cut_tiles(paths: &[Vec<Range<usize>>]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = paths.iter().flatten().cloned().collect();
    runs.sort_unstable_by_key(|run| (run.start, run.end));
    let mut tiles = Vec::new();
    let mut reach = 0;
    for (i, run) in runs.iter().enumerate() {
        reach = reach.max(run.end);
        let end = runs.get(i + 1).map_or(reach, |next| reach.min(next.start));
        for start in (run.start..end).step_by(KEY_BLOCK) {
            tiles.push(start..end.min(start + KEY_BLOCK));
        }
    }
    tiles
}

/// The tiles of one path in its order, `tile` being an index into `tiles`.
fn tiles_of_path(path: &[Range<usize>], tiles: &[Range<usize>]) -> Vec<SeenTile> {
    let mut places = Vec::new();
    let mut before = 0;
    for run in path {
        let first = tiles.partition_point(|tile| tile.start < run.start);
        let inside = tiles.iter().enumerate().skip(first);
        for (tile, rows) in inside.take_while(|(_, rows)| rows.start < run.end) {
            let first_key = before + rows.start - run.start;
            places.push(SeenTile { tile, first_key, len: rows.end.min(run.end) - rows.start });
        }
        before += run.len();
    }
    places
}

/// The component of each tile, numbered in the order of their first tiles.
fn connect(num_tiles: usize, places: &[Vec<SeenTile>]) -> Vec<usize> {
    fn root(parents: &mut [usize], mut tile: usize) -> usize {
        while parents[tile] != tile {
            parents[tile] = parents[parents[tile]];
            tile = parents[tile];
        }
        tile
    }
    let mut parents: Vec<usize> = (0..num_tiles).collect();
    for pair in places.iter().flat_map(|places| places.windows(2)) {
        let (a, b) = (root(&mut parents, pair[0].tile), root(&mut parents, pair[1].tile));
        parents[a.max(b)] = a.min(b);
    }
    let mut components: Vec<usize> = Vec::with_capacity(num_tiles);
    let mut num_components = 0;
    for tile in 0..num_tiles {
        let first = root(&mut parents, tile);
        if first == tile {
            components.push(num_components);
            num_components += 1;
        } else {
            components.push(components[first]);
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::attention::{Segment, Visible};

    fn causal(queries: Range<usize>, keys: Vec<Range<usize>>) -> Segment {
        let before = keys.iter().map(Range::len).sum::<usize>() - queries.len();
        Segment { queries, keys, visible: Visible::Causal { before } }
    }

    #[test]
    fn tiles_begin_where_runs_begin_and_may_be_seen_in_part() {
        let layout = AttentionLayout::new(&[
            causal(0..500, std::iter::once(0..500).collect()),
            causal(500..600, vec![0..500, 500..600]),
            causal(600..700, vec![0..500, 600..700]),
        ]);
        let plan = Plan::new(&layout);
        let [component] = &plan.components[..] else { panic!("the branches share keys") };
        assert_eq!(plan.num_keys, 700);
        assert_eq!(component.key_tiles, [0..384, 384..600, 600..700]);
        let last = component.query_tiles.last().expect("there are queries");
        assert_eq!((last.segment, last.queries.end), (2, 700));
        let seen = |tile, first_key, len| SeenTile { tile, first_key, len };
        assert_eq!(last.seen, [seen(0, 0, 384), seen(1, 384, 116), seen(2, 500, 100)]);
        assert_eq!(component.query_tiles[0].seen, [seen(0, 0, QUERY_TILE)]);
    }

    #[test]
    fn what_shares_no_keys_is_apart() {
        let all = |rows: Range<usize>| Segment {
            queries: rows.clone(),
            keys: vec![rows],
            visible: Visible::All,
        };
        let plan = Plan::new(&AttentionLayout::new(&[all(0..64), all(64..100), all(100..900)]));
        let tiles: Vec<_> = plan.components.iter().map(|part| part.key_tiles.clone()).collect();
        assert_eq!(tiles.concat(), [0..64, 64..100, 100..484, 484..868, 868..900]);
        assert_eq!(tiles.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 3]);
    }
}
