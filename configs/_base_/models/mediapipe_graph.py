"""The 21 joints of a hand as MMAction2's graph: (child, parent), the wrist is 0."""

mediapipe_graph = dict(
    num_node=21,
    inward=[
        *((1, 0), (2, 1), (3, 2), (4, 3)),  # thumb
        *((5, 0), (6, 5), (7, 6), (8, 7)),
        *((9, 0), (10, 9), (11, 10), (12, 11)),
        *((13, 0), (14, 13), (15, 14), (16, 15)),
        *((17, 0), (18, 17), (19, 18), (20, 19)),
    ],
    center=0,
)
