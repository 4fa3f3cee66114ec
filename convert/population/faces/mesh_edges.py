"""How far each vertex of a hair mesh lies from its open edge: where hair thins out."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

INSIDE = 9.9  # dm; distance in a mesh without an open edge


def edge_distance(vertices: Array, faces: list[list[int]]) -> Array:
    """Return, for each vertex, its distance to the open edge, its piece's widest one, its piece.

    Args:
        vertices: (v, 3) dm.
        faces: polygons; an edge that only one of them has is open.

    Returns:
        (v, 3): geodesic distance in dm along polygon edges, the greatest such distance of the
        connected piece, and the piece's number.
    """
    uses: dict[tuple[int, int], int] = {}
    for face in faces:
        for i, vertex in enumerate(face):
            pair = (min(vertex, face[i - 1]), max(vertex, face[i - 1]))
            uses[pair] = uses.get(pair, 0) + 1
    neighbours: list[list[tuple[int, float]]] = [[] for _ in vertices]
    distance = np.full(len(vertices), INSIDE)
    for (a, b), count in uses.items():
        length = float(np.linalg.norm(vertices[a] - vertices[b]))
        neighbours[a].append((b, length))
        neighbours[b].append((a, length))
        if count == 1:
            distance[[a, b]] = 0.0
    queue = [(0.0, int(i)) for i in np.flatnonzero(distance == 0.0)]
    while queue:  # Dijkstra
        so_far, here = heapq.heappop(queue)
        if so_far > distance[here]:
            continue
        for there, length in neighbours[here]:
            if so_far + length < distance[there] - 1e-9:
                distance[there] = so_far + length
                heapq.heappush(queue, (so_far + length, there))
    piece = np.full(len(vertices), -1)
    for seed in range(len(vertices)):
        if piece[seed] >= 0:
            continue
        piece[seed] = number = int(piece.max()) + 1
        stack = [seed]
        while stack:
            for there, _ in neighbours[stack.pop()]:
                if piece[there] < 0:
                    piece[there] = number
                    stack.append(there)
    widest = np.zeros(int(piece.max()) + 1)
    np.maximum.at(widest, piece, distance)
    return np.stack([distance, widest[piece], piece], axis=1)
