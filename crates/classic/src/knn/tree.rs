//! A k-d tree (Bentley 1975; Friedman, Bentley, Finkel 1977) whose nodes know the box of their points, and whose leaves hold points column
//! by column, so that a leaf's distances are had side by side.

use super::metric::Metric;
use super::nearest::Nearest;

/// Points of a leaf at most.
const LEAF: usize = 32;

/// Points, cut in halves along their widest column until few are left.
pub(super) struct Tree {
    width: usize,
    nodes: Vec<Node>,
    /// `[nodes, 2, width]`: the lowest and the highest corner of each node's points.
    boxes: Vec<f64>,
    /// Leaf after leaf, column by column.
    values: Vec<f64>,
    /// Each point's number, leaf after leaf.
    points: Vec<u32>,
}

#[derive(Clone, Copy)]
enum Node {
    /// From this point to that.
    Leaf(u32, u32),
    /// The second child; the first comes next.
    Halves(u32),
}

impl Tree {
    /// Of points that lie row by row.
    pub(super) fn new(rows: &[f64], width: usize) -> Tree {
        let count = rows.len() / width;
        let mut tree =
            Tree { width, nodes: vec![], boxes: vec![], values: Vec::with_capacity(rows.len()), points: (0..count as u32).collect() };
        let mut points = std::mem::take(&mut tree.points);
        tree.grow(rows, &mut points, 0);
        tree.points = points;
        tree
    }

    fn grow(&mut self, rows: &[f64], points: &mut [u32], first: usize) {
        let width = self.width;
        let value = |point: u32, column: usize| rows[point as usize * width + column];
        let corner = |pick: fn(f64, f64) -> f64, from: f64| -> Vec<f64> {
            (0..width).map(|column| points.iter().fold(from, |corner, &point| pick(corner, value(point, column)))).collect()
        };
        let (low, high) = (corner(f64::min, f64::INFINITY), corner(f64::max, f64::NEG_INFINITY));
        // The first of equally wide columns.
        let widest = (0..width).fold(0, |best, column| if high[column] - low[column] > high[best] - low[best] { column } else { best });
        let is_leaf = points.len() <= LEAF || high[widest] == low[widest];
        self.boxes.extend(low.into_iter().chain(high));
        let node = self.nodes.len();
        if is_leaf {
            points.sort_unstable();
            self.nodes.push(Node::Leaf(first as u32, (first + points.len()) as u32));
            (0..width).for_each(|column| self.values.extend(points.iter().map(|&point| value(point, column))));
            return;
        }
        self.nodes.push(Node::Halves(0));
        let middle = points.len() / 2;
        points.select_nth_unstable_by(middle, |&a, &b| value(a, widest).total_cmp(&value(b, widest)).then(a.cmp(&b)));
        let (left, right) = points.split_at_mut(middle);
        self.grow(rows, left, first);
        self.nodes[node] = Node::Halves(self.nodes.len() as u32);
        self.grow(rows, right, first + middle);
    }

    /// Offers all points that may be among the nearest.
    pub(super) fn search(&self, metric: Metric, at: &[f64], nearest: &mut Nearest) {
        self.visit(0, self.key_of_box(metric, 0, at), metric, at, nearest);
    }

    fn key_of_box(&self, metric: Metric, node: usize, at: &[f64]) -> f64 {
        let corners = &self.boxes[node * 2 * self.width..(node + 1) * 2 * self.width];
        let (low, high) = corners.split_at(self.width);
        metric.key_of_box(low, high, at)
    }

    fn visit(&self, node: usize, key: f64, metric: Metric, at: &[f64], nearest: &mut Nearest) {
        // Equally near points of smaller numbers count, so an equal key has to be looked at.
        if key > nearest.reach() {
            return;
        }
        match self.nodes[node] {
            Node::Leaf(first, end) => self.scan(first as usize, end as usize, metric, at, nearest),
            Node::Halves(right) => {
                let children = [node + 1, right as usize];
                let keys = children.map(|child| self.key_of_box(metric, child, at));
                let order = if keys[1] < keys[0] { [1, 0] } else { [0, 1] };
                order.into_iter().for_each(|side| self.visit(children[side], keys[side], metric, at, nearest));
            }
        }
    }

    fn scan(&self, first: usize, end: usize, metric: Metric, at: &[f64], nearest: &mut Nearest) {
        let mut keys = [0.0; LEAF];
        let count = end - first;
        // A leaf of equal points may be long.
        if count > LEAF {
            let point: Vec<f64> = (0..self.width).map(|column| self.values[first * self.width + column * count]).collect();
            let key = metric.key(&point, at);
            return self.points[first..end].iter().for_each(|&point| nearest.offer(key, point));
        }
        metric.keys(&self.values[first * self.width..end * self.width], at, &mut keys[..count]);
        for (&key, &point) in keys[..count].iter().zip(&self.points[first..end]) {
            nearest.offer(key, point);
        }
    }
}
