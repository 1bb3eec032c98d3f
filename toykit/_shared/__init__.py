"""What several parts of the package share and no user imports: files, shipped resources, colours, torchvision, threads."""
