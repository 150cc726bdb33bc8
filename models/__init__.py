"""The learned part: a nonlinear teacher, a one-pass linear student, its controls, and what they give on a bench.

Run from the checkout; nothing here is in the wheel, and `fouroptics` never imports it.

Images
    data/         DataConfig and load(): sets of images in three parts that share none; Split, Dataset, fashion_subset()
    make_subset   Fashion-MNIST (IDX files) -> fashion_subset.npz, the part of it that comes with the repository
Networks
    student       the one-pass student: a linear stack that merges into one kernel an output, a readout, a head
    head          linear layers behind a camera
    pictures      images with their channel axis, of the right size
    front         the optical layer as arithmetic: correlation, merging, averages taken first
    spectral      convolution in the spectrum, spectral pooling, and when it is faster
    teacher       the nonlinear networks that a student learns from
    unet          the teacher of the segmentation
    segmenter     the student of the segmentation: one optical layer, a head for each pixel
    digital       networks without optics, by their cost
    controls      what the student must beat: plain lens, random kernels, head only, a digital net of the same cost
    macs          multiply-accumulates of the electronic layers, counted by running them
Learning
    train         the training loop and its command: python -m models.train RECIPE
    batch         what the loop gives to an objective: images, labels, which, in which view
    optimiser     how a network is trained: FitConfig, the optimiser, the rate of each step
    scores        what a network makes of images, and how much of it is right
    progress      the bar of a training, and where its time goes
    resume        the state after each epoch: what a training that was killed goes on from
    parallel      one network, several processes (torchrun)
    distill       objectives: labels, a teacher's scores
    ntk           objectives: the neural tangent kernel, exact and projected
    runs          the run folder: checkpoints and tables, written whole or not at all
    curves        the figure of a training
    recipes/      TOML files for train and study
On the bench
    optical       the student's first layer on a bench, its frames, and the numbers the head gets
    pairing       does this bench go with this student
    incoherent    masks for incoherent light, whose kernels come in two halves
    compensate    the head trained again on pictures taken on a bench
    evaluate      the accuracy of a run on a bench, and the tables of studies
    light         how much light to ask for
    cost          time and energy of an image on a bench, against electronics
    bench_cost    the same, part by part
    electronics   the products that a network takes, by spatial or FFT convolution
    demo          all of it in a few minutes
    figures       the pictures that demo and evaluate draw
Evidence
    study         rows of networks by seeds, and the lines that come of them: python -m models.study RECIPE
    tables        the table of a study
    search        the best network of each budget
    segmentation  the study of segmentation
    resolution    the study of resolution on solar cells
    resampling    the paired bootstrap
"""
